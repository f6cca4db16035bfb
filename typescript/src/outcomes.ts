/** What became of a command, however it may be learned: its answer, its owner, its journal. */

import type {Commit, CommitReader} from './commits.ts'
import {encode, ENCODING_HEADER, type Encoding} from './codec.ts'
import {bodyDigest} from './digests.ts'
import {type Answer, decodeAnswer, type Envelope, errorOf} from './envelope.ts'
import {Corrupt, NoHost, Unavailable, Undecodable, Unknown} from './errors.ts'
import type {Home, Homes} from './homes.ts'
import type {Agent} from './ids.ts'
import type {Integers} from './json.ts'
import {Disconnected, type Link, NoResponders, ServerRefused, Until} from './link.ts'
import {leaderMessage, pages, TRY} from './stored.ts'

/** Milliseconds without an answer after which the owner is asked what became of a command. */
export const ASK_AGAIN = 1_000

/** Milliseconds kept for a look into the journal, where an owner is silent: a quarter at most. */
const LAST_LOOK = 500

/** What the parts of one client share. */
export interface Shared {
  readonly link: Link
  readonly homes: Homes
  readonly commits: CommitReader
  readonly encoding: Encoding
  readonly integers: Integers
}

/** A command that is on its way, and where its outcome is to be looked for. */
export interface Sent {
  readonly agent: Agent
  readonly envelope: Envelope
  readonly home: Home
  /** Behind which sequence of the journal its commit can only be. */
  readonly after: number
  /** The answer that came to its inbox. */
  readonly answer: {told?: Answer | undefined; arrived: Promise<void>} | undefined
}

/** The owner's answer to a question; raises `NoHost` if none came in time. */
export async function askOwner(
  shared: Shared,
  agent: Agent,
  home: Home,
  question: Readonly<Record<string, unknown>>,
  until: Until,
): Promise<Answer> {
  const {link, homes} = shared
  const subject = homes.owner('query', agent, home)
  let why = ''
  for (let attempt = 1; until.left > 0; attempt++) {
    try {
      return await requested(shared, subject, question, Math.min(TRY, until.left))
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      link.checkOpen()
      if (error instanceof NoResponders) why = ''
      else if (error instanceof Disconnected) why = error.message
      else why = `its host, or the server at ${link.description}, is silent`
    }
    await link.backoff(attempt, until.left)
  }
  if (why !== '') throw new NoHost(`no answer for ${agent.text} in time: ${why}; try again`)
  throw new NoHost(
    `no host answered for ${agent.text} in time: start one with \`moonlet run\`, or wait until the` +
      ' partition is taken over',
  )
}

async function requested(
  shared: Shared,
  subject: string,
  question: Readonly<Record<string, unknown>>,
  timeout: number,
): Promise<Answer> {
  const {encoding} = shared
  const headers = encoding === 'json' ? undefined : {[ENCODING_HEADER]: encoding}
  const said = await shared.link.request(subject, encode(question, encoding), headers, timeout)
  return decodeAnswer(said.data, said.headers?.get(ENCODING_HEADER) ?? '', shared.integers)
}

/**
 * The outcome of a stored command. Its answer travels at most once; so whoever has waited a second
 * for it asks the owner, and where there is none the journal is read.
 * Raises `Unknown`, stored 'yes', when time is up.
 */
export async function awaitOutcome(shared: Shared, sent: Sent, until: Until): Promise<Answer> {
  return await new OutcomeSearch(shared, sent).find(until)
}

class OutcomeSearch {
  private readonly shared: Shared
  private readonly sent: Sent
  private readonly digest: string
  private after: number
  private why = 'its host may be down or busy'

  constructor(shared: Shared, sent: Sent) {
    this.shared = shared
    this.sent = sent
    this.after = sent.after
    this.digest = bodyDigest(sent.envelope.name, plain(sent.envelope.body))
  }

  async find(until: Until): Promise<Answer> {
    const {link} = this.shared
    const last = new Until(until.left - Math.min(LAST_LOOK, until.left / 4))
    while (last.left > 0) {
      link.checkOpen()
      const found = (await this.arrived()) ?? (await this.fromOwner(last))
      if (found !== undefined) return found
      if (last.left > 0) await link.sleep(Math.min(last.left, ASK_AGAIN), this.sent.answer?.arrived)
    }
    const found = (await this.arrived()) ?? (await this.look(until))
    if (found !== undefined) return found
    await link.sleep(until.left, this.sent.answer?.arrived)
    const told = await this.arrived()
    if (told !== undefined) return told
    const {envelope, agent} = this.sent
    throw new Unknown(
      `${envelope.name} is stored for ${agent.text}, but was not decided in time: ${this.why}; ask` +
        ' again with the same id',
      'yes',
      envelope.id,
    )
  }

  private async arrived(): Promise<Answer | undefined> {
    const told = this.sent.answer?.told
    return told?.outcome === 'waiting' ? await this.at(told.sequence) : told
  }

  private async fromOwner(until: Until): Promise<Answer | undefined> {
    const {link, homes} = this.shared
    const {agent, envelope, home} = this.sent
    const question: Record<string, unknown> = {agent: agent.text, id: envelope.id}
    if (envelope.sender !== '') question.sender = envelope.sender
    if (envelope.lane !== 'medium') question.lane = envelope.lane
    if (envelope.number !== 0) question.number = envelope.number
    question.body_digest = this.digest
    let answer: Answer
    try {
      const subject = homes.owner('outcome', agent, home)
      answer = await requested(this.shared, subject, question, Math.min(TRY, until.left))
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      link.checkOpen()
      const found = error instanceof NoResponders ? await this.look(until) : undefined
      if (found === undefined) await link.sleep(Math.min(200, until.left), this.sent.answer?.arrived)
      return found
    }
    if (answer.outcome === 'waiting') {
      if (answer.sequence > 0) return await this.at(answer.sequence)
      this.why = answer.reason || this.why
      await link.sleep(Math.min(200, until.left), this.sent.answer?.arrived)
      return undefined
    }
    if (answer.outcome !== 'failed' || answer.error === 'Conflict') return answer
    const error = errorOf(answer)
    if (error instanceof Unavailable) {
      await link.sleep(Math.min(200, until.left), this.sent.answer?.arrived)
      return undefined
    }
    throw new Unknown(
      `the command is stored, and ${agent.text} can't decide it now: ${error.message}; once that is` +
        ' mended it is decided: ask again with the same id',
      'yes',
      envelope.id,
    )
  }

  /** Its commit, looked for in the journal from where the last look ended. */
  private async look(until: Until): Promise<Answer | undefined> {
    const {link, homes, commits} = this.shared
    const {agent, home} = this.sent
    const subject = homes.journal(agent)
    try {
      for await (const page of pages(link, home.journal, subject, this.after + 1, false)) {
        for (const message of page) {
          if (until.left <= 0) return undefined
          const commit = await readable(commits.commit(home.journal, message))
          this.after = message.sequence
          if (commit !== undefined && this.isOurs(commit)) return this.told(commit)
        }
      }
    } catch (error) {
      if (error instanceof ServerRefused && error.missing) {
        this.why = `its journal, the stream ${home.journal}, is gone: restore it, or start a host`
      } else if (!(error instanceof Unavailable)) throw error
    }
    return undefined
  }

  /** The outcome that is too large for a message, where it is said to stand. */
  private async at(sequence: number): Promise<Answer | undefined> {
    const {link, commits} = this.shared
    const {home} = this.sent
    if (sequence < 1) return undefined
    try {
      const message = await leaderMessage(link, home.journal, {seq: sequence})
      if (message === undefined) return undefined
      const commit = await readable(commits.commit(home.journal, message))
      return commit !== undefined && this.isOurs(commit) ? this.told(commit) : undefined
    } catch (error) {
      if (error instanceof Unavailable) return undefined
      throw error
    }
  }

  private isOurs(commit: Commit): boolean {
    const {envelope} = this.sent
    const {command} = commit
    if (commit.agent !== envelope.agent || command.id !== envelope.id) return false
    if (command.number !== envelope.number) return false
    if (envelope.number === 0) return true
    return command.sender === envelope.sender && command.lane === envelope.lane
  }

  private told(commit: Commit): Answer {
    const {envelope, home} = this.sent
    if (bodyDigest(commit.command.name, commit.command.body) !== this.digest) {
      const reason =
        `${envelope.agent}: the id ${envelope.id} was used before, with another command: use a new id`
      return {...NOTHING, outcome: 'failed', id: envelope.id, error: 'Conflict', reason}
    }
    const {outcome, reply, reason, error, sequence, revision} = commit
    return {outcome, id: envelope.id, reply, reason, error, stream: home.journal, sequence, revision}
  }
}

const NOTHING: Answer = {
  outcome: '',
  id: '',
  reply: null,
  reason: '',
  error: '',
  stream: '',
  sequence: 0,
  revision: 0,
}

/** A commit, or undefined for a record that nobody can read: it is none that is looked for. */
async function readable(commit: Promise<Commit>): Promise<Commit | undefined> {
  try {
    return await commit
  } catch (error) {
    if (error instanceof Undecodable || error instanceof Corrupt) return undefined
    throw error
  }
}

/** A body as whoever reads it sees it: without what JSON leaves out. */
function plain(body: unknown): unknown {
  return body ?? null
}
