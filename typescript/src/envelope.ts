/** What travels: commands, questions, answers. Fields that have their default are left out. */

import {
  encode,
  decode,
  ENCODING_HEADER,
  type Encoding,
  MAX_COMMAND_PLAIN,
} from './codec.ts'
import {errorNamed, Expired, InvalidMessage, MoonletError, PayloadTooLarge, Rejected, Unavailable} from './errors.ts'
import type {Lane} from './ids.ts'
import type {Integers} from './json.ts'

/** Bytes below the server's limit that are left to what a commit adds to its command. */
export const COMMAND_OVERHEAD = 32_768

/** Bytes that the headers of a command take at most, their ids apart. */
const HEADERS_SIZE = 256

/** A command with everything its commit will need to know about it. */
export interface Envelope {
  readonly id: string
  readonly agent: string
  readonly name: string
  readonly body: unknown
  readonly version: number
  readonly lane: Lane
  readonly sender: string
  /** Counts this sender's commands to this agent in this lane; 0: known by its id alone. */
  readonly number: number
  readonly correlationId: string
  readonly traceparent: string
  /** µs since 1970; 0: none. */
  readonly deadline: number
  readonly reply: string
}

/** What an owner says of a command, or to a query (`outcome` is then 'answered'). */
export interface Answer {
  readonly outcome: string
  readonly id: string
  readonly reply: unknown
  readonly reason: string
  readonly error: string
  readonly stream: string
  readonly sequence: number
  readonly revision: number
}

/** Payload and headers of a command; raises `InvalidMessage`, and `PayloadTooLarge` over `limit`. */
export function encodeEnvelope(
  envelope: Envelope,
  encoding: Encoding,
  limit: number,
): {payload: Uint8Array; headers: Record<string, string>} {
  const fields: Record<string, unknown> = {
    id: envelope.id,
    agent: envelope.agent,
    name: envelope.name,
    body: envelope.body,
  }
  if (envelope.version !== 1) fields.version = envelope.version
  if (envelope.lane !== 'medium') fields.lane = envelope.lane
  if (envelope.sender !== '') fields.sender = envelope.sender
  if (envelope.number !== 0) fields.number = envelope.number
  if (envelope.correlationId !== '') fields.correlation_id = envelope.correlationId
  if (envelope.traceparent !== '') fields.traceparent = envelope.traceparent
  if (envelope.deadline !== 0) fields.deadline = envelope.deadline
  if (envelope.reply !== '') fields.reply = envelope.reply
  const payload = encode(fields, encoding)
  const size = payload.length + HEADERS_SIZE
  if (payload.length > MAX_COMMAND_PLAIN) {
    throw tooLarge(envelope, payload.length, MAX_COMMAND_PLAIN, 'uncompressed')
  }
  if (size > limit) {
    throw tooLarge(envelope, size, limit, "the server's payload limit less what a commit adds")
  }
  return {payload, headers: encoding === 'json' ? {} : {[ENCODING_HEADER]: encoding}}
}

function tooLarge(
  envelope: Envelope,
  size: number,
  limit: number,
  why: string,
): PayloadTooLarge {
  return new PayloadTooLarge(
    `${envelope.name} to ${envelope.agent} takes ${size} bytes, over the limit of ${limit}` +
      ` (${why}): store the data elsewhere and send a reference`,
    limit,
    size,
  )
}

/** What the server's duplicate window knows the command by; only an optimisation. */
export function messageId(envelope: Envelope): string {
  return envelope.number === 0
    ? `${envelope.agent}/${envelope.id}`
    : `${envelope.agent}/${envelope.sender}/${envelope.lane}/${envelope.number}`
}

/** The answer of a message; raises `InvalidMessage`. */
export function decodeAnswer(data: Uint8Array, header: string, integers: Integers): Answer {
  const told = decode(data, header, integers)
  if (typeof told !== 'object' || told === null) throw new InvalidMessage('the answer is no object')
  const fields = told as Record<string, unknown>
  const text = (name: string): string => {
    const value = fields[name] ?? ''
    if (typeof value !== 'string') throw new InvalidMessage(`the answer's ${name} is no text`, name)
    return value
  }
  const count = (name: string): number => {
    const value = fields[name] ?? 0
    if (!Number.isSafeInteger(value)) throw new InvalidMessage(`the answer's ${name} is no count`, name)
    return value as number
  }
  return {
    outcome: text('outcome'),
    id: text('id'),
    reply: fields.reply ?? null,
    reason: text('reason'),
    error: text('error'),
    stream: text('stream'),
    sequence: count('sequence'),
    revision: count('revision'),
  }
}

/** The reply; raises what the answer says went wrong. */
export function valueOf(answer: Answer): unknown {
  if (answer.outcome === 'accepted' || answer.outcome === 'answered') return answer.reply
  throw errorOf(answer)
}

/** The error to raise for an answer that is neither accepted nor answered. */
export function errorOf(answer: Answer): MoonletError {
  if (answer.outcome === 'expired') {
    return new Expired(`the command expired: ${answer.reason}; send it again with a later deadline`)
  }
  if (answer.outcome === 'parked') {
    return new Rejected(
      `parked: ${answer.reason}; see the agent's history, mend the handler, send it again`,
    )
  }
  const known = errorNamed(answer.error, answer.reason)
  if (known !== undefined) return known
  if (answer.outcome === 'failed') {
    return new Unavailable(`${answer.error || 'failed'}: ${answer.reason}`)
  }
  return new Rejected(answer.reason)
}
