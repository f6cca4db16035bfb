/**
 * What can go wrong, as the caller sees it: the tree of `moonlet.core.errors`, with its sentences.
 * Each message says what happened, why, and what to do next; the facts are properties.
 */

/** Whether a command is durable: stored, not stored, or nobody knows. */
export type Stored = 'no' | 'maybe' | 'yes'

/** The base of every error that is raised here on purpose. */
export class MoonletError extends Error {}

/** The agent refused the command; nothing changed. `reason` is the agent's own. */
export class Rejected extends MoonletError {
  readonly reason: string

  constructor(reason: string) {
    super(reason)
    this.reason = reason
  }
}

/** Another write came first, or an id was used again with another body. */
export class Conflict extends MoonletError {}

/** No answer in time: send it again with `id: commandId`, or ask what came of it. */
export class Unknown extends MoonletError {
  readonly stored: Stored
  readonly commandId: string

  constructor(message: string, stored: Stored, commandId: string) {
    super(message)
    this.stored = stored
    this.commandId = commandId
  }
}

/** The bus, or the agent, can't be reached now; nothing is known to be wrong with the call. */
export class Unavailable extends MoonletError {}

/** No host runs this agent type at the moment. */
export class NoHost extends Unavailable {}

/** A stored record can't be read: stop and look. */
export class Undecodable extends MoonletError {
  readonly stream: string
  readonly sequence: number

  constructor(message: string, stream = '', sequence = 0) {
    super(message)
    this.stream = stream
    this.sequence = sequence
  }
}

/** A stored record contradicts another: stop and look. */
export class Corrupt extends MoonletError {
  readonly stream: string
  readonly sequence: number

  constructor(message: string, stream = '', sequence = 0) {
    super(message)
    this.stream = stream
    this.sequence = sequence
  }
}

/** Over a bound: `limit` and `value`, in the unit that the message names. */
export class LimitExceeded extends MoonletError {
  readonly limit: number
  readonly value: number

  constructor(message: string, limit = 0, value = 0) {
    super(message)
    this.limit = limit
    this.value = value
  }
}

/** The agent's mailbox is full; nothing was stored. */
export class MailboxFull extends LimitExceeded {}

/** The message, headers counted, is over the limit (bytes); nothing was stored. */
export class PayloadTooLarge extends LimitExceeded {}

/** The caller's mistake; nothing was sent or stored. */
export class Invalid extends MoonletError {}

/** An id, name or topic outside its grammar. */
export class InvalidId extends Invalid {}

/** A body that doesn't fit, or isn't plain data; `path` names the field. */
export class InvalidMessage extends Invalid {
  readonly path: string

  constructor(message: string, path = '$') {
    super(message)
    this.path = path
  }
}

/** A setting that can't be used; the message names it. */
export class InvalidSettings extends Invalid {}

/** No agent type of this name is registered. */
export class UnknownAgentType extends Invalid {}

/** The agent type handles no message of this name. */
export class UnknownCommand extends Invalid {}

/** The server refused the operation on `subject` for the connection's user. */
export class PermissionDenied extends MoonletError {
  readonly subject: string

  constructor(message: string, subject = '') {
    super(message)
    this.subject = subject
  }
}

/** The command's deadline passed before it was decided; nothing changed. */
export class Expired extends MoonletError {}

const BY_NAME: Readonly<Record<string, new (message: string) => MoonletError>> = {
  Conflict,
  Corrupt,
  Expired,
  Invalid,
  InvalidId,
  InvalidMessage,
  InvalidSettings,
  LimitExceeded,
  MailboxFull,
  NoHost,
  PayloadTooLarge,
  PermissionDenied,
  Rejected,
  Unavailable,
  Undecodable,
  UnknownAgentType,
  UnknownCommand,
}

// By the table's keys, which a minifier leaves alone.
for (const [name, known] of Object.entries({...BY_NAME, MoonletError, Unknown})) {
  Object.defineProperty(known.prototype, 'name', {value: name})
}

/** The error of a class that travelled by its name; undefined for one that is not known here. */
export function errorNamed(name: string, reason: string): MoonletError | undefined {
  const known = Object.hasOwn(BY_NAME, name) ? BY_NAME[name] : undefined
  return known === undefined ? undefined : new known(reason)
}
