/** The connection: requests, stored publishes, and waits that end. Nobody else here speaks NATS. */

import {
  headers as newHeaders,
  type Msg,
  type NatsConnection,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
  type Subscription,
  TimeoutError,
} from '@nats-io/nats-core'
import {MoonletError, PermissionDenied, Unavailable} from './errors.ts'
import {token} from './ids.ts'

/** Headers by their names. */
export type Headers = Readonly<Record<string, string>>

/** Where a message was stored; `duplicate`: the server says that it had one of this id already. */
export interface Stored {
  readonly stream: string
  readonly sequence: number
  readonly duplicate: boolean
}

/** Nobody listens on a subject now. */
export class NoResponders extends Unavailable {}

/** There is no connection now; nothing was sent. It is being restored. */
export class Disconnected extends Unavailable {}

/** The server said no; `final` if it is no use to try the same again. */
export class ServerRefused extends MoonletError {
  readonly code: number
  readonly errCode: number

  constructor(code: number, errCode: number, description: string) {
    super(description)
    this.code = code
    this.errCode = errCode
  }

  get final(): boolean {
    return this.code < 500
  }

  /** A limit is reached: nothing was stored. */
  get full(): boolean {
    return [10023, 10047, 10077, 10122].includes(this.errCode)
  }

  /** The refusal leaves open what becomes of the message. */
  get unknown(): boolean {
    return [10158, 10163, 10210].includes(this.errCode)
  }

  get missing(): boolean {
    return this.errCode === 10059
  }
}

/** When a call is to end: milliseconds by the monotonic clock. */
export class Until {
  readonly at: number

  constructor(timeout: number) {
    this.at = performance.now() + timeout
  }

  /** Milliseconds that are left, 0 or less when time is up. */
  get left(): number {
    return this.at - performance.now()
  }
}

/** One connection to one server or cluster, restored for ever. */
export class Link {
  readonly nc: NatsConnection
  readonly description: string
  private connected = true
  private closed = false
  private readonly bells = new Set<() => void>()
  private readonly waiting = new Set<() => void>()

  constructor(nc: NatsConnection) {
    this.nc = nc
    this.description = `nats://${nc.getServer()}`
    void this.watch()
  }

  /** Bytes of one message that the server takes at most, headers included. */
  get maxPayload(): number {
    return this.nc.info?.max_payload ?? 1_048_576
  }

  private async watch(): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === 'disconnect') this.connected = false
      if (status.type === 'reconnect') {
        this.connected = true
        for (const bell of [...this.bells]) bell()
      }
    }
    this.connected = false
  }

  /** Calls back after every reconnect; returns what ends that. */
  onReconnect(bell: () => void): () => void {
    this.bells.add(bell)
    return () => this.bells.delete(bell)
  }

  /** Ends everything; whoever waits is woken. */
  async close(): Promise<void> {
    this.closed = true
    for (const wake of [...this.waiting]) wake()
    await this.nc.close()
  }

  /** Raises `Unavailable` once the client was closed. */
  checkOpen(): void {
    if (this.closed || this.nc.isClosed()) throw new Unavailable('the client was closed')
  }

  /** One answer, within `timeout` ms. Raises `NoResponders`, `Disconnected`, `Unavailable`. */
  async request(
    subject: string,
    payload: Uint8Array | string,
    headers: Headers | undefined,
    timeout: number,
  ): Promise<Msg> {
    this.checkOpen()
    if (!this.connected) throw this.disconnected()
    const wait = Math.max(1, Math.ceil(timeout))
    const options = headers === undefined ? {timeout: wait} : {timeout: wait, headers: made(headers)}
    try {
      return await this.nc.request(subject, payload, options)
    } catch (error) {
      throw this.translated(error, subject)
    }
  }

  /** Stores a message in the stream that takes `subject`. Raises `ServerRefused` besides. */
  async publish(
    subject: string,
    payload: Uint8Array,
    headers: Headers,
    timeout: number,
  ): Promise<Stored> {
    const answer = await this.request(subject, payload, headers, timeout)
    const said = this.said<{stream?: string; seq?: number; duplicate?: boolean}>(answer)
    if (typeof said.stream !== 'string' || typeof said.seq !== 'number') {
      throw new Unavailable(`what answers on ${subject} is no stream`)
    }
    return {stream: said.stream, sequence: said.seq, duplicate: said.duplicate === true}
  }

  /** A question to JetStream's API. */
  async api<T>(subject: string, question: unknown, timeout: number): Promise<T> {
    const text = question === undefined ? '' : JSON.stringify(question)
    return this.said<T>(await this.request(`$JS.API.${subject}`, text, undefined, timeout))
  }

  private said<T>(answer: Msg): T {
    let said: T & {error?: {code?: number; err_code?: number; description?: string}}
    try {
      said = answer.json()
    } catch {
      throw new Unavailable(`what ${this.description} answered is no JSON`)
    }
    if (said.error !== undefined) {
      const {code = 500, err_code = 0, description = 'no reason was given'} = said.error
      throw new ServerRefused(code, err_code, description)
    }
    return said
  }

  /** Calls back for each message; a subscription outlives reconnects. */
  subscribe(subject: string, arrive: (message: Msg) => void): Subscription {
    return this.nc.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) arrive(message)
      },
    })
  }

  /** Sends without an answer; lost where there is no connection. */
  post(subject: string, payload: string, reply: string): void {
    this.checkOpen()
    this.nc.publish(subject, payload, {reply})
  }

  /** A subject that nobody else knows, under the connection's inbox prefix. */
  newInbox(): string {
    const prefix = (this.nc as {options?: {inboxPrefix?: string}}).options?.inboxPrefix ?? '_INBOX'
    return `${prefix}.${token()}`
  }

  /** Before try `attempt` (from 1): 50 ms doubling to 2 s, half of it by chance. */
  async backoff(attempt: number, atMost = 2_000): Promise<void> {
    const ceiling = Math.min(2_000, 50 * 2 ** Math.min(attempt - 1, 8))
    await this.sleep(Math.min(atMost, ceiling * (0.5 + 0.5 * Math.random())))
  }

  /** For `ms`, until `wake` settles, or the client is closed. */
  async sleep(ms: number, wake?: Promise<unknown>): Promise<void> {
    if (ms <= 0 || this.closed) return
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        this.waiting.delete(end)
        resolve()
      }
      const timer = setTimeout(end, Math.min(ms, 2_147_483_647))
      this.waiting.add(end)
      wake?.then(end, end)
    })
  }

  private disconnected(): Disconnected {
    return new Disconnected(`there is no connection to ${this.description}; it is being restored`)
  }

  private translated(error: unknown, subject: string): unknown {
    if (error instanceof MoonletError) return error
    if (error instanceof RequestError && error.cause instanceof Error) {
      return this.translated(error.cause, subject)
    }
    if (error instanceof NoRespondersError) return new NoResponders(`nobody listens on ${subject}`)
    if (error instanceof PermissionViolationError) {
      const what = `the server refused ${error.operation} on ${error.subject}: ask who runs it for it`
      return new PermissionDenied(what, error.subject)
    }
    if (error instanceof TimeoutError) return new Unavailable(`${this.description} is silent`)
    const why = error instanceof Error ? error.message : String(error)
    this.checkOpen()
    return new Unavailable(`${this.description}: ${why}`)
  }
}

function made(fields: Headers): ReturnType<typeof newHeaders> {
  const all = newHeaders()
  for (const name in fields) all.set(name, fields[name] ?? '')
  return all
}

/** `work`, or what `late` says if it takes longer than `until`; the rest of it goes on unseen. */
export async function inTime<T>(work: Promise<T>, until: Until, late: () => Error): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const ends = new Promise<never>((_, reject) => {
    const ms = Math.min(Math.max(0, until.left), 2_147_483_647)
    // Answers that arrived while a hidden page's timers slept are handled before the verdict.
    timer = setTimeout(() => setTimeout(() => reject(late()), 0), ms)
  })
  try {
    return await Promise.race([work, ends])
  } finally {
    clearTimeout(timer)
  }
}
