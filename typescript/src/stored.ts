/** Reading what streams hold: from the leader what is decided upon, in pages what is long. */

import type {Msg, MsgHdrs} from '@nats-io/nats-core'
import {Corrupt, MoonletError, Unavailable} from './errors.ts'
import {type Link, ServerRefused, Until} from './link.ts'

/** A message as a stream holds it. */
export interface StoredMessage {
  readonly subject: string
  readonly sequence: number
  /** When the server stored it. */
  readonly time: Date
  readonly header: (name: string) => string
  readonly data: Uint8Array
}

/** Messages of one page. */
const PAGE = 256

/** Milliseconds that one question to the server may take. */
export const TRY = 2_000

/** Messages asked of the leader one by one before a replica, which may lag, is tried again. */
const LEADER_PAGE = 64

/** Tries in a row that gave nothing, after which the server is said to be away. */
const STALLS_MAX = 10

/** Milliseconds after which whoever follows looks without having been rung for. */
const LOOK_ANYWAY = 5_000

/** Milliseconds between looks after the bell: it rings before the message is stored. */
const LOOKS = [0, 5, 20, 100, 500]

const ascii = new TextDecoder()

interface Told {
  readonly message: {subject: string; seq: number; hdrs?: string; data?: string; time: string}
}

/** One message from the leader; undefined if there is none. Raises what the server says. */
export async function leaderMessage(
  link: Link,
  stream: string,
  wanted: {seq: number} | {last_by_subj: string} | {seq: number; next_by_subj: string},
  timeout = TRY,
): Promise<StoredMessage | undefined> {
  try {
    const {message} = await link.api<Told>(`STREAM.MSG.GET.${stream}`, wanted, timeout)
    const fields = parseHeaders(message.hdrs === undefined ? '' : ascii.decode(unbase(message.hdrs)))
    return {
      subject: message.subject,
      sequence: message.seq,
      time: new Date(message.time),
      header: (name) => fields.get(name.toLowerCase()) ?? '',
      data: message.data === undefined ? new Uint8Array() : unbase(message.data),
    }
  } catch (error) {
    if (error instanceof ServerRefused && [10037, 10043].includes(error.errCode)) return undefined
    throw error
  }
}

/** The sequence of the last message of a subject, 0 if it has none, as the leader has it. */
export async function endOf(link: Link, stream: string, subject: string): Promise<number> {
  return (await leaderMessage(link, stream, {last_by_subj: subject}))?.sequence ?? 0
}

/**
 * Pages of a subject's messages from sequence `start` on, in order; a page may be empty. Up to the
 * end as the leader has it at the beginning; with `follow` for ever, until `signal` says stop.
 * What is given is whole up to its last message. Survives reconnects; raises `Unavailable` if the
 * server stays away.
 */
export async function* pages(
  link: Link,
  stream: string,
  subject: string,
  start: number,
  follow: boolean,
  signal?: AbortSignal,
): AsyncGenerator<StoredMessage[]> {
  const bell = new Bell(link, follow ? subject : undefined, signal)
  try {
    const end = follow ? Infinity : await endOf(link, stream, subject)
    let next = start
    let stalls = 0
    while (next <= end && signal?.aborted !== true) {
      let page: StoredMessage[] = []
      try {
        page = await readPage(link, stream, subject, next)
        if (page.length === 0 && (!follow || bell.isFresh)) page = await leaderPage(link, stream, subject, next, end)
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error
        link.checkOpen()
        if (!follow && ++stalls > STALLS_MAX) {
          throw new Unavailable(
            `stream ${stream} stopped answering behind sequence ${next - 1}: see the server's` +
              ' log, then read again',
          )
        }
        await link.backoff(Math.min(++stalls, 8))
        continue
      }
      stalls = 0
      const last = page.at(-1)
      if (last !== undefined) {
        next = last.sequence + 1
        bell.found()
        yield page
      } else if (!follow) return
      else await bell.wait()
    }
  } finally {
    bell.close()
  }
}

/** Rings when something is said on a subject, or the connection is back. */
class Bell {
  private looks = 0
  private wake: () => void = () => {}
  private readonly link: Link
  private readonly ends: (() => void)[] = []

  constructor(link: Link, subject: string | undefined, signal: AbortSignal | undefined) {
    this.link = link
    if (subject === undefined) return
    const ring = (): void => {
      this.looks = 0
      this.wake()
    }
    const subscription = link.subscribe(subject, ring)
    this.ends.push(() => subscription.unsubscribe(), link.onReconnect(ring))
    signal?.addEventListener('abort', ring)
    this.ends.push(() => signal?.removeEventListener('abort', ring))
  }

  /** Whether it has rung since the last message was found, or was never waited for. */
  get isFresh(): boolean {
    return this.looks < LOOKS.length
  }

  found(): void {
    this.looks = 0
  }

  async wait(): Promise<void> {
    const ms = LOOKS[this.looks++] ?? LOOK_ANYWAY
    await this.link.sleep(ms, new Promise<void>((resolve) => (this.wake = resolve)))
  }

  close(): void {
    for (const end of this.ends) end()
  }
}

/** The next messages by direct get, from whatever replica answers: a page, or less. */
async function readPage(
  link: Link,
  stream: string,
  subject: string,
  start: number,
): Promise<StoredMessage[]> {
  link.checkOpen()
  const page: StoredMessage[] = []
  let wake: () => void = () => {}
  let ended = false
  let heard = performance.now()
  const finish = (): void => {
    ended = true
    wake()
  }
  const arrive = (message: Msg): void => {
    heard = performance.now()
    const status = message.headers?.code ?? 0
    if (status !== 0) return finish() // the end; 503 where a stream has no direct reads
    const read = delivered(message)
    const before = Number(message.headers?.get('Nats-Last-Sequence') ?? 0)
    const last = page.at(-1)
    if (read === undefined || (last !== undefined && before !== last.sequence)) return finish()
    page.push(read)
  }
  const inbox = link.newInbox()
  const subscription = link.subscribe(inbox, arrive)
  try {
    const question = {seq: start, next_by_subj: subject, batch: PAGE}
    link.post(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify(question), inbox)
    while (!ended && performance.now() - heard < TRY) {
      await link.sleep(TRY, new Promise<void>((resolve) => (wake = resolve)))
      link.checkOpen()
    }
  } finally {
    subscription.unsubscribe()
  }
  if (!ended && page.length === 0) throw new Unavailable(`stream ${stream} is silent`)
  return page
}

/** The next few from the leader, which knows where the end is. */
async function leaderPage(
  link: Link,
  stream: string,
  subject: string,
  start: number,
  end: number,
): Promise<StoredMessage[]> {
  const page: StoredMessage[] = []
  let next = start
  while (page.length < LEADER_PAGE && next <= end) {
    const message = await leaderMessage(link, stream, {seq: next, next_by_subj: subject})
    if (message === undefined) break
    page.push(message)
    next = message.sequence + 1
  }
  return page
}

function delivered(message: Msg): StoredMessage | undefined {
  const headers: MsgHdrs | undefined = message.headers
  const sequence = Number(headers?.get('Nats-Sequence'))
  if (headers === undefined || !Number.isSafeInteger(sequence) || sequence < 1) return undefined
  return {
    subject: headers.get('Nats-Subject'),
    sequence,
    time: new Date(headers.get('Nats-Time-Stamp')),
    header: (name) => headers.get(name),
    data: message.data,
  }
}

/** Bytes that were too large for one message, in chunks of `moon-outcomes`. */
export async function chunksOf(
  link: Link,
  prefix: string,
  message: StoredMessage,
  digest: string,
  count: number,
): Promise<Uint8Array> {
  const store = `${prefix}-outcomes`
  const chunks: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    const chunk = await leaderMessage(link, store, {last_by_subj: `${prefix}.blob.${digest}.${i}`})
    if (chunk === undefined) {
      throw new Corrupt(
        `the outcome of the commit at sequence ${message.sequence} is gone from ${store}: restore` +
          ' that stream from a backup',
        store,
        message.sequence,
      )
    }
    chunks.push(chunk.data)
  }
  const whole = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

/** Whether this very message stands where the server says that it had it already. */
export async function isStored(
  link: Link,
  place: {stream: string; sequence: number},
  subject: string,
  data: Uint8Array,
  until: Until,
): Promise<boolean> {
  try {
    const wait = Math.min(TRY, until.left)
    const found = await leaderMessage(link, place.stream, {seq: place.sequence}, wait)
    return found?.subject === subject && equal(found.data, data)
  } catch (error) {
    if (error instanceof MoonletError) return false
    throw error
  }
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, i) => byte === right[i])
}

function parseHeaders(block: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of block.split('\r\n').slice(1)) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  return fields
}

function unbase(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
}
