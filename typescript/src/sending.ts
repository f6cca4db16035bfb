/**
 * A client's commands on their way, and the answers to them. A command is numbered, encoded, and
 * sent under one id until its outcome is known.
 */

import {ENCODING_HEADER} from './codec.ts'
import {type Answer, COMMAND_OVERHEAD, decodeAnswer, encodeEnvelope, type Envelope, messageId} from './envelope.ts'
import {
  InvalidSettings,
  LimitExceeded,
  MailboxFull,
  MoonletError,
  PayloadTooLarge,
  PermissionDenied,
  Unavailable,
  Unknown,
} from './errors.ts'
import type {Home} from './homes.ts'
import {type Agent, checkCommandId, checkLane, type Lane, parseAgent, token} from './ids.ts'
import {Disconnected, inTime, NoResponders, ServerRefused, Until} from './link.ts'
import type {Message} from './messages.ts'
import {Counter, WINDOW} from './numbers.ts'
import {ASK_AGAIN, awaitOutcome, type Sent, type Shared} from './outcomes.ts'
import {isStored, TRY} from './stored.ts'

/** Receivers and lanes that one session counts for; then a new session begins. */
const ROUTES_MAX = 100_000

/** How a command is sent. */
export interface SendOptions {
  /** Yours if you give one: sending it again is then harmless at any delay. */
  readonly id?: string
  readonly lane?: Lane
  /** Milliseconds that the call may take; 5,000 if left out. */
  readonly timeout?: number
  /** Not decided by then, the command expires. */
  readonly deadline?: Date
  readonly correlationId?: string
  readonly traceparent?: string
}

interface Route extends Counter {
  readonly agent: Agent
  readonly lane: Lane
  readonly session: string
}

interface Waiting {
  readonly id: string
  readonly arrive: (answer: Answer) => void
}

/** One session, its routes, and one inbox in which each question has a place. */
export class Sender {
  session = newSession()
  private readonly shared: Shared
  private readonly seen: Map<string, number>
  private readonly routes = new Map<string, Route>()
  private readonly waiting = new Map<string, Waiting>()
  private readonly inbox: string

  constructor(shared: Shared, seen: Map<string, number>) {
    this.shared = shared
    this.seen = seen
    this.inbox = shared.link.newInbox()
    shared.link.subscribe(`${this.inbox}.*`, (message) => {
      const waiting = this.waiting.get(message.subject)
      if (waiting === undefined) return
      try {
        const header = message.headers?.get(ENCODING_HEADER) ?? ''
        const answer = decodeAnswer(message.data, header, shared.integers)
        if (answer.id === waiting.id) waiting.arrive(answer)
      } catch {
        // No owner's, or not to be read: the owner is asked for it, and what is wrong said there.
      }
    })
  }

  /** Stores a command; resolves when it is durable. */
  async tell(agent: string, message: Message, options: SendOptions): Promise<Sent> {
    const until = new Until(timeoutOf(options.timeout))
    const {route, home, number} = await this.numbered(agent, options, until)
    try {
      const envelope = this.envelope(route, message, number, options, '')
      const after = this.after(home, options)
      await this.put(route, home, envelope, until)
      return {agent: route.agent, envelope, home, after, answer: undefined}
    } finally {
      route.done(number)
    }
  }

  /** Sends a command, and waits for its outcome. */
  async ask(agent: string, message: Message, options: SendOptions): Promise<Answer> {
    const until = new Until(timeoutOf(options.timeout))
    const {route, home, number} = await this.numbered(agent, options, until)
    const reply = `${this.inbox}.${token(10)}`
    let wake: () => void = () => {}
    const answer: Sent['answer'] = {arrived: new Promise<void>((resolve) => (wake = resolve))}
    try {
      const envelope = this.envelope(route, message, number, options, reply)
      const after = this.after(home, options)
      const arrive = (told: Answer): void => {
        answer.told ??= told
        wake()
      }
      this.waiting.set(reply, {id: envelope.id, arrive})
      await this.put(route, home, envelope, until)
      if (answer.told === undefined) {
        await this.shared.link.sleep(Math.min(until.left, ASK_AGAIN), answer.arrived)
      }
      if (answer.told !== undefined && answer.told.outcome !== 'waiting') return answer.told
      return await awaitOutcome(this.shared, {agent: route.agent, envelope, home, after, answer}, until)
    } finally {
      route.done(number)
      this.waiting.delete(reply)
    }
  }

  private async numbered(
    agent: string,
    options: SendOptions,
    until: Until,
  ): Promise<{route: Route; home: Home; number: number}> {
    const {homes} = this.shared
    this.shared.link.checkOpen()
    const route = this.route(agent, options.lane ?? 'medium')
    const {type} = route.agent
    const home = homes.of(type) ?? (await homes.home(type, until))
    const number = route.takeNow()
    if (number !== undefined) return {route, home, number}
    const turn = route.take()
    try {
      const late = (): LimitExceeded =>
        new LimitExceeded(
          `${WINDOW} commands to ${agent} in lane ${route.lane} are under way, and none was answered` +
            ' in time: wait for answers before you send on, or start more hosts',
          WINDOW,
        )
      return {route, home, number: await inTime(turn.number, until, late)}
    } catch (error) {
      turn.cancel()
      throw error
    }
  }

  /** The way to this agent in this lane, in the session of now. */
  private route(agent: string, lane: Lane): Route {
    const key = `${agent} ${lane}`
    let route = this.routes.get(key)
    if (route === undefined) {
      const parsed = parseAgent(agent)
      checkLane(lane)
      if (this.routes.size >= ROUTES_MAX) {
        // A new session counts from 1 again; what is in flight keeps its old sender.
        this.session = newSession()
        this.routes.clear()
      }
      route = Object.assign(new Counter(), {agent: parsed, lane, session: this.session})
      this.routes.set(key, route)
    }
    if (route.last - route.landed >= WINDOW) {
      // So many numbers were never stored that the agent would not believe the next one.
      route = Object.assign(new Counter(), {agent: route.agent, lane, session: newSession()})
      this.routes.set(key, route)
    }
    return route
  }

  private after(home: Home, options: SendOptions): number {
    return options.id !== undefined ? 0 : (this.seen.get(home.journal) ?? home.end)
  }

  private envelope(
    route: Route,
    message: Message,
    number: number,
    options: SendOptions,
    reply: string,
  ): Envelope {
    const {agent, lane, session} = route
    const {id, deadline} = options
    if (id !== undefined) checkCommandId(id)
    return {
      id: id ?? `${session}.${agent.type}.${agent.key}.${lane}.${number}`,
      agent: agent.text,
      name: message.name,
      body: message.body,
      version: message.version ?? 1,
      lane,
      sender: session,
      number: id === undefined ? number : 0,
      correlationId: options.correlationId ?? '',
      traceparent: options.traceparent ?? '',
      deadline: deadline === undefined ? 0 : micros(deadline),
      reply,
    }
  }

  /** Stores the command, with retries under the same id and number, until time is up. */
  private async put(route: Route, home: Home, envelope: Envelope, until: Until): Promise<void> {
    const {link, homes, encoding} = this.shared
    const subject = homes.mailbox(route.agent, route.lane, home)
    let [stored, why] = [false, '']
    for (let attempt = 1; until.left > 0; attempt++) {
      try {
        const limit = link.maxPayload - COMMAND_OVERHEAD
        const {payload, headers} = encodeEnvelope(envelope, encoding, limit)
        const known = {...headers, 'Nats-Msg-Id': messageId(envelope)}
        const ack = await link.publish(subject, payload, known, Math.min(TRY, until.left))
        if (ack.duplicate && !(await isStored(link, ack, subject, payload, until))) {
          await link.publish(subject, payload, headers, Math.min(TRY, Math.max(1, until.left)))
        }
        if (envelope.number > route.landed) route.landed = envelope.number
        return
      } catch (error) {
        if (error instanceof ServerRefused) {
          if (error.full && !stored) throw explained(error, route.agent)
          if (error.unknown) stored = true
          else if (error.final) {
            if (!stored) throw error
            throw this.unknown(envelope, stored, error.message)
          }
          why = error.message
        } else if (error instanceof PayloadTooLarge || error instanceof PermissionDenied) {
          if (!stored) throw error
          throw this.unknown(envelope, stored, error.message)
        } else if (error instanceof NoResponders) {
          why = `no stream takes ${subject} now; hosts make it`
        } else if (error instanceof Disconnected) {
          why = 'there is no connection to it now; it is being restored'
        } else if (error instanceof Unavailable) {
          stored = true
          why = 'it may hang, look at it'
        } else throw error
        if (link.nc.isClosed()) throw this.unknown(envelope, stored, 'the client was closed')
      }
      await link.backoff(attempt, until.left)
    }
    throw this.unknown(envelope, stored, why)
  }

  private unknown(envelope: Envelope, stored: boolean, why: string): MoonletError {
    const {description} = this.shared.link
    const what = `${envelope.name} to ${envelope.agent}`
    const text = stored
      ? `no answer from ${description} for ${what} (${why}): ask for its outcome with the same id`
      : `${what} was not taken by ${description} in time (${why}): nothing is stored, send it again`
    return new Unknown(text, stored ? 'maybe' : 'no', envelope.id)
  }
}

function explained(error: ServerRefused, agent: Agent): MoonletError {
  if (!error.message.includes('per subject')) {
    return new LimitExceeded(
      `the server has no room for commands (${error.message}): nothing was stored; free its disk, or` +
        ' raise max_file_store of the server or max_file (max_storage) of the account, then send again',
    )
  }
  return new MailboxFull(
    `the mailbox of ${agent.text} is full (${error.message}): wait and send again, or run more hosts`,
  )
}

/** A timeout in milliseconds; raises `InvalidSettings` unless it is positive and finite. */
export function timeoutOf(timeout = 5_000): number {
  if (typeof timeout === 'number' && timeout > 0 && timeout < 1e12) return timeout
  throw new InvalidSettings(`timeout: ${String(timeout)}: give a positive number of milliseconds`)
}

/** In µs since 1970, from 1: what is before that has passed as well, and 0 is none. */
function micros(deadline: Date): number {
  const ms = deadline instanceof Date ? deadline.getTime() : Number.NaN
  if (!Number.isFinite(ms)) throw new InvalidSettings(`deadline: ${String(deadline)}: give a Date`)
  return Math.max(1, Math.round(ms * 1_000))
}

function newSession(): string {
  return `c-${token()}`
}
