/** The client: what `connect()` gives. It sends commands, asks, queries, and reads histories. */

import type {NatsConnection} from '@nats-io/nats-core'
import {decode, type Encoding, ENCODING_HEADER} from './codec.ts'
import {type Commit, CommitReader} from './commits.ts'
import {type Answer, errorOf, valueOf} from './envelope.ts'
import {Corrupt, InvalidSettings, Unavailable, Undecodable} from './errors.ts'
import {Homes} from './homes.ts'
import {checkName, checkTopic, parseAgent, token} from './ids.ts'
import type {Integers} from './json.ts'
import {inTime, Link, ServerRefused, Until} from './link.ts'
import type {Message} from './messages.ts'
import {askOwner, awaitOutcome, type Sent, type Shared} from './outcomes.ts'
import {Sender, type SendOptions, timeoutOf} from './sending.ts'
import {endOf, leaderMessage, pages, type StoredMessage} from './stored.ts'

/** How a client speaks. */
export interface ClientOptions {
  /** The prefix of the system's subjects; `moon` if left out. */
  readonly prefix?: string
  /** How commands are written, and so their commits; `json` if left out. */
  readonly encoding?: Encoding
  /** Integers beyond 2^53 − 1 are refused if left out. */
  readonly integers?: Integers
}

/** How a history is read. */
export interface HistoryOptions {
  /** The first revision, from 1. */
  readonly from?: number
  /** The last revision, inclusive; to the end as of now if left out. */
  readonly to?: number
  /** Wait for further commits, for ever or until `to`. */
  readonly follow?: boolean
  /** Ends it, at once where it waits. */
  readonly signal?: AbortSignal
}

/** Where a topic's messages are read from. */
export interface SubscribeOptions {
  /** `new`: what is published from now on; `all`: what is kept; or behind a sequence that was read. */
  readonly from?: 'new' | 'all' | {readonly after: number}
  /** Ends it, at once where it waits. */
  readonly signal?: AbortSignal
}

/** A message of a topic. */
export interface TopicMessage {
  readonly topic: string
  readonly body: unknown
  /** The stream's; give it as `from: {after: sequence}` to go on behind it. */
  readonly sequence: number
  readonly stored: Date
}

/** The agents' text ids of a message's type: `account/alice` for a message to an `account`. */
export type AgentOf<Type extends string> = `${Type}/${string}`

/** One connection to one system of agents. Every call that waits takes `timeout` in milliseconds. */
export class Moonlet {
  private readonly shared: Shared
  private readonly sender: Sender
  private readonly seen = new Map<string, number>()

  /** For `connect`; or with a connection of yours, which `close` closes. */
  constructor(nc: NatsConnection, options: ClientOptions = {}) {
    const {prefix = 'moon', encoding = 'json', integers = 'refuse'} = options
    checkName(prefix, 'prefix')
    if (encoding !== 'json' && encoding !== 'msgpack') {
      throw new InvalidSettings(`encoding: ${String(encoding)}: give json or msgpack`)
    }
    if (integers !== 'refuse' && integers !== 'bigint') {
      throw new InvalidSettings(`integers: ${String(integers)}: give refuse or bigint`)
    }
    const link = new Link(nc)
    const commits = new CommitReader(link, prefix, integers)
    this.shared = {link, homes: new Homes(link, prefix), commits, encoding, integers}
    this.sender = new Sender(this.shared, this.seen)
  }

  /** Where this connects to, for messages to people. */
  get description(): string {
    return this.shared.link.description
  }

  /** What this client has caused and seen, by journal: its queries see at least that. */
  get token(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.seen)
  }

  /** Takes note of a commit seen elsewhere, say by the client that handed over its token. */
  see(stream: string, sequence: number): void {
    if (sequence > (this.seen.get(stream) ?? 0)) this.seen.set(stream, sequence)
  }

  /** Ends the connection; whoever still waits gets an error. */
  async close(): Promise<void> {
    await this.shared.link.close()
  }

  /** The same at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Stores a command in the agent's mailbox; resolves when it is durable. */
  async tell<Type extends string>(
    agent: AgentOf<Type>,
    command: Message<Type>,
    options: SendOptions = {},
  ): Promise<Receipt> {
    const sent = await this.sender.tell(agent, command, options)
    return new Receipt(this, this.shared, sent)
  }

  /**
   * Sends a command and waits for its reply. Raises `Rejected` with the agent's reason, `Expired`,
   * and `Unknown` when time is up.
   */
  async ask<Type extends string, Reply>(
    agent: AgentOf<Type>,
    command: Message<Type, Reply>,
    options: SendOptions = {},
  ): Promise<Reply> {
    return this.told(await this.sender.ask(agent, command, options)) as Reply
  }

  /**
   * Asks the agent's owner about acknowledged state, at least as new as `token`. Changes nothing.
   * Raises `NoHost` if nobody runs the type, `Unavailable` if the agent is stopped.
   */
  async query<Type extends string, Reply>(
    agent: AgentOf<Type>,
    query: Message<Type, Reply>,
    options: {readonly timeout?: number} = {},
  ): Promise<Reply> {
    const until = new Until(timeoutOf(options.timeout))
    const parsed = parseAgent(agent)
    const home = await this.shared.homes.home(parsed.type, until)
    const question: Record<string, unknown> = {agent, id: `q-${token()}`, name: query.name}
    if (query.version !== undefined && query.version !== 1) question.version = query.version
    question.body = query.body
    const atLeast = this.seen.get(home.journal) ?? 0
    if (atLeast > 0) question.at_least = atLeast
    question.sender = this.sender.session
    return this.told(await askOwner(this.shared, parsed, home, question, until)) as Reply
  }

  private told(answer: Answer): unknown {
    if (answer.stream !== '') this.see(answer.stream, answer.sequence)
    return valueOf(answer)
  }

  /**
   * The agent's commits in order. None is missing that was committed before the call. Each is
   * checked: its digest, and that it follows the one before. Raises `Unavailable`, `Corrupt`.
   */
  async *history(agent: string, options: HistoryOptions = {}): AsyncGenerator<Commit, void, void> {
    const {from = 1, to = Infinity, follow = false, signal} = options
    const {link, homes, commits} = this.shared
    const parsed = parseAgent(agent)
    const {journal} = await homes.home(parsed.type, new Until(timeoutOf()))
    const subject = homes.journal(parsed)
    let left: ReadonlySet<number> | undefined
    let before: Commit | undefined
    for await (const page of pages(link, journal, subject, 1, follow, signal)) {
      for (const message of page) {
        if (signal?.aborted === true) return
        let commit: Commit
        try {
          commit = await commits.commit(journal, message)
        } catch (error) {
          if (!(error instanceof Undecodable || error instanceof Corrupt)) throw error
          left ??= await commits.leftOut(journal, subject)
          if (!left.has(message.sequence)) throw error
          before = undefined
          continue
        }
        if (before !== undefined) checkNext(journal, before, commit)
        before = commit
        if (commit.revision > to) return
        this.see(journal, commit.sequence)
        if (commit.revision >= from) yield commit
        if (commit.revision === to) return
      }
    }
  }

  /** A topic's messages, in order, for ever; each at least once, and once while it is read on. */
  async *subscribe(topic: string, options: SubscribeOptions = {}): AsyncGenerator<TopicMessage, void, void> {
    const {from = 'new', signal} = options
    const {link, homes, integers} = this.shared
    const [stream, prefix] = [`${homes.prefix}-topics`, `${homes.prefix}.pub.`]
    const subject = prefix + checkTopic(topic)
    let start = 1
    if (from === 'new') start = 1 + (await this.patiently(() => endOf(link, stream, subject)))
    else if (from !== 'all') start = 1 + from.after
    for await (const page of pages(link, stream, subject, start, true, signal)) {
      for (const message of page) {
        if (signal?.aborted === true) return
        yield topicMessage(message, message.subject.slice(prefix.length), integers)
      }
    }
  }

  private async patiently<T>(ask: () => Promise<T>): Promise<T> {
    const until = new Until(timeoutOf())
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask()
      } catch (error) {
        if (!(error instanceof Unavailable) || until.left <= 0) throw error
      }
      await this.shared.link.backoff(attempt, until.left)
    }
  }
}

function topicMessage(message: StoredMessage, topic: string, integers: Integers): TopicMessage {
  const body = decode(message.data, message.header(ENCODING_HEADER), integers)
  return {topic, body, sequence: message.sequence, stored: message.time}
}

function checkNext(stream: string, before: Commit, commit: Commit): void {
  if (commit.revision === before.revision + 1 && commit.previousDigest === before.digest) return
  throw new Corrupt(
    `${commit.agent}: the commit at sequence ${commit.sequence} is revision ${commit.revision} after` +
      ` ${commit.previousDigest || 'nothing'}, but revision ${before.revision + 1} after` +
      ` ${before.digest} comes next: history was changed; run \`moonlet verify\`, then restore the` +
      ' journal from a backup',
    stream,
    commit.sequence,
  )
}

/** A stored command: `id` names it for ever. */
export class Receipt {
  readonly id: string
  private readonly moon: Moonlet
  private readonly shared: Shared
  private readonly sent: Sent

  /** For `Moonlet.tell`. */
  constructor(moon: Moonlet, shared: Shared, sent: Sent) {
    this.id = sent.envelope.id
    this.moon = moon
    this.shared = shared
    this.sent = sent
  }

  /**
   * The command's own commit, whatever its outcome; may be asked for any number of times. Raises
   * `Unknown`, stored 'yes', when time is up, `Conflict` if the id was another command's.
   */
  async committed(options: {readonly timeout?: number} = {}): Promise<Commit> {
    const until = new Until(timeoutOf(options.timeout))
    const {link, commits} = this.shared
    const {journal} = this.sent.home
    const answer = await awaitOutcome(this.shared, this.sent, until)
    if (answer.sequence === 0) throw errorOf(answer)
    const read = async (): Promise<Commit> => {
      for (let attempt = 1; ; attempt++) {
        try {
          const message = await leaderMessage(link, journal, {seq: answer.sequence})
          if (message !== undefined) return await commits.commit(journal, message)
        } catch (error) {
          const passes = error instanceof Unavailable || (error instanceof ServerRefused && !error.final)
          if (!passes) throw error
        }
        link.checkOpen()
        await link.backoff(attempt, until.left)
      }
    }
    const late = (): Unavailable =>
      new Unavailable(`${link.description} did not say in time what came of ${this.id}: ask again`)
    const commit = await inTime(read(), until, late)
    this.moon.see(journal, commit.sequence)
    return commit
  }
}
