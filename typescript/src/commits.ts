/** Commits: the records of what agents did, read and checked. */

import {decode, ENCODING_HEADER, MAX_PLAIN, plainBytes} from './codec.ts'
import {DIGEST_HEADER, recordDigest} from './digests.ts'
import {Corrupt, MoonletError, Undecodable} from './errors.ts'
import type {Lane} from './ids.ts'
import type {Integers} from './json.ts'
import type {Link} from './link.ts'
import {chunksOf, leaderMessage, type StoredMessage} from './stored.ts'

/** How a command ended. */
export type Outcome = 'accepted' | 'rejected' | 'expired' | 'parked' | 'repaired'

/** The command as the agent received it. */
export interface CommittedCommand {
  readonly id: string
  readonly name: string
  readonly body: unknown
  readonly version: number
  readonly lane: Lane
  readonly sender: string
  readonly number: number
  readonly correlationId: string
  readonly causationId: string
  readonly timer: string
  readonly call: string
}

/** One event of a commit: the schema's name and version, and the body. */
export interface CommittedEvent {
  readonly name: string
  readonly body: unknown
  readonly version: number
}

/** What the host does after the commit. Which fields are set depends on `kind`. */
export interface CommittedEffect {
  readonly kind: 'send' | 'publish' | 'schedule' | 'cancel' | 'perform'
  readonly target: string
  readonly message: CommittedEvent | undefined
  readonly due: Date | undefined
}

/** One command's record, immutable; a refusal is a commit too. */
export interface Commit {
  readonly agent: string
  /** Counts the agent's commits from 1. */
  readonly revision: number
  readonly outcome: Outcome
  readonly command: CommittedCommand
  /** Grows from commit to commit: µs since 1970, and what orders those of one microsecond. */
  readonly time: {readonly micros: number; readonly counter: number}
  /** Why it was not accepted. */
  readonly reason: string
  readonly error: string
  readonly events: readonly CommittedEvent[]
  readonly effects: readonly CommittedEffect[]
  readonly reply: unknown
  readonly appVersion: string
  /** Covers the stored bytes, which hold `previousDigest`: a chain per agent. */
  readonly digest: string
  readonly previousDigest: string
  /** The journal's. */
  readonly sequence: number
  /** When the server stored it. */
  readonly stored: Date
}

type Fields = Readonly<Record<string, unknown>>

/** What reads one system's commits. */
export class CommitReader {
  private readonly link: Link
  private readonly prefix: string
  private readonly integers: Integers

  constructor(link: Link, prefix: string, integers: Integers) {
    this.link = link
    this.prefix = prefix
    this.integers = integers
  }

  /** The commit of a stored message; raises `Undecodable`, `Corrupt`. */
  async commit(stream: string, message: StoredMessage): Promise<Commit> {
    const {fields, digest} = await this.read(stream, message)
    try {
      return shaped(fields, message, digest)
    } catch (error) {
      throw undecodable(stream, message, error)
    }
  }

  private async read(stream: string, message: StoredMessage): Promise<{fields: Fields; digest: string}> {
    const payload = await this.payload(stream, message)
    const header = message.header(ENCODING_HEADER)
    let plain: Uint8Array
    try {
      plain = plainBytes(payload, header)
    } catch (error) {
      throw undecodable(stream, message, error)
    }
    const [digest, told] = [recordDigest(plain), message.header(DIGEST_HEADER)]
    if (told !== '' && told !== digest) {
      throw new Corrupt(
        `${stream}: the message at sequence ${message.sequence} has the digest ${digest}, but` +
          ` ${told} was written beside it: its bytes changed; restore the stream from a backup`,
        stream,
        message.sequence,
      )
    }
    try {
      const value = decode(plain, header.replace('+zstd', ''), this.integers)
      return {fields: object(value, '$'), digest}
    } catch (error) {
      throw undecodable(stream, message, error)
    }
  }

  private async payload(stream: string, message: StoredMessage): Promise<Uint8Array> {
    const apart = message.header('Moonlet-Blob')
    if (apart === '') return message.data
    const [count, digest] = [Number(apart), message.header(DIGEST_HEADER)]
    if (!(count >= 1 && count <= 1 + MAX_PLAIN / 4_096) || !/^[a-z0-9]+$/.test(digest)) {
      throw new Corrupt(
        `${stream}: the message at sequence ${message.sequence} names no readable outcome`,
        stream,
        message.sequence,
      )
    }
    return await chunksOf(this.link, this.prefix, message, digest, count)
  }

  /**
   * The sequences of an agent's records that its last repair leaves out. Empty where that makes no
   * sense itself.
   */
  async leftOut(stream: string, subject: string): Promise<ReadonlySet<number>> {
    try {
      const last = await leaderMessage(this.link, stream, {last_by_subj: subject})
      if (last === undefined) return new Set()
      let {fields} = await this.read(stream, last)
      if (fields.repair === undefined && Number(fields.repaired ?? 0) > 0) {
        const seq = Number(fields.repaired)
        const repair = await leaderMessage(this.link, stream, {seq})
        if (repair?.subject !== subject) return new Set()
        fields = (await this.read(stream, repair)).fields
      }
      const {skips = []} = object(fields.repair ?? {}, 'repair')
      const records = list(skips, 'skips').map((skip) => object(skip, 'skip'))
      return new Set(records.filter((skip) => skip.what === 'record').map((s) => Number(s.sequence)))
    } catch (error) {
      if (error instanceof Corrupt || error instanceof Undecodable) return new Set()
      throw error
    }
  }
}

function undecodable(stream: string, message: StoredMessage, error: unknown): unknown {
  if (!(error instanceof MoonletError)) return error
  return new Undecodable(
    `${stream}: the message at sequence ${message.sequence} on ${message.subject} is no commit:` +
      ` ${error.message}; see who wrote it with \`moonlet doctor\`, have it left out with` +
      ' `moonlet repair`',
    stream,
    message.sequence,
  )
}

function shaped(fields: Fields, message: StoredMessage, digest: string): Commit {
  const command = object(fields.command ?? {}, 'command')
  const [micros, counter] = list(fields.time ?? [], 'time')
  return {
    agent: text(fields.agent),
    revision: count(fields.revision),
    outcome: text(fields.outcome) as Outcome,
    command: {
      ...event(command),
      id: text(command.id),
      lane: (command.lane as Lane | undefined) ?? 'medium',
      sender: text(command.sender),
      number: count(command.number),
      correlationId: text(command.correlation_id),
      causationId: text(command.causation_id),
      timer: text(command.timer),
      call: text(command.call),
    },
    time: {micros: count(micros), counter: count(counter)},
    reason: text(fields.reason),
    error: text(fields.error),
    events: list(fields.events ?? [], 'events').map((each) => event(object(each, 'event'))),
    effects: list(fields.effects ?? [], 'effects').map((each) => effect(object(each, 'effect'))),
    reply: fields.reply ?? null,
    appVersion: text(fields.app_version),
    digest,
    previousDigest: text(fields.previous_digest),
    sequence: message.sequence,
    stored: message.time,
  }
}

function event(fields: Fields): CommittedEvent {
  return {name: text(fields.name), body: fields.body, version: count(fields.version ?? 1)}
}

function effect(fields: Fields): CommittedEffect {
  const due = count(fields.due)
  return {
    kind: fields.kind as CommittedEffect['kind'],
    target: text(fields.target) || text(fields.agent),
    message: fields.message == null ? undefined : event(object(fields.message, 'message')),
    due: due === 0 ? undefined : new Date(due / 1_000),
  }
}

function object(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw new Undecodable(`${what} is no object`)
}

function list(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new Undecodable(`${what} is no list`)
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function count(value: unknown): number {
  return typeof value === 'number' ? value : 0
}
