/** Where agents are: a type's pool and partitions, its journal, and the subjects that follow. */

import {Corrupt, Unavailable, UnknownAgentType} from './errors.ts'
import {type Agent, type Lane, partitionOf} from './ids.ts'
import {inTime, type Link, ServerRefused, type Until} from './link.ts'
import {leaderMessage, TRY} from './stored.ts'

/** Where a type's agents are; fixed when the type is first registered. */
export interface Home {
  readonly pool: string
  readonly partitions: number
  /** The stream of the journal. */
  readonly journal: string
  /** Behind which sequence of the journal all commits of commands are that are sent from now on. */
  readonly end: number
}

const utf8 = new TextDecoder()

/** What one client knows of types and journals. */
export class Homes {
  private readonly known = new Map<string, Home>()
  private readonly asked = new Map<string, Promise<Home>>()
  private readonly link: Link
  readonly prefix: string

  constructor(link: Link, prefix: string) {
    this.link = link
    this.prefix = prefix
  }

  /** The home of a type if it was read already. */
  of(type: string): Home | undefined {
    return this.known.get(type)
  }

  /** The home of a type; raises `UnknownAgentType`, and `Unavailable` when time is up. */
  async home(type: string, until: Until): Promise<Home> {
    const known = this.known.get(type)
    if (known !== undefined) return known
    let why = ''
    const ask = async (): Promise<Home> => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.askOnce(type)
        } catch (error) {
          if (!(error instanceof Unavailable) || until.left <= 0) throw error
          this.link.checkOpen()
          why = `: ${error.message}`
        }
        await this.link.backoff(attempt, until.left)
      }
    }
    return await inTime(ask(), until, () => {
      const what = `${this.link.description} did not say in time where agents of type ${type} are`
      return new Unavailable(`${what}; nothing was sent, try again${why}`)
    })
  }

  private askOnce(type: string): Promise<Home> {
    const asked = this.asked.get(type)
    if (asked !== undefined) return asked
    const asking = this.read(type).finally(() => this.asked.delete(type))
    this.asked.set(type, asking)
    return asking
  }

  private async read(type: string): Promise<Home> {
    const bucket = `${this.prefix}-registry`
    const subject = `$KV.${bucket}.type.${type}`
    let found
    try {
      found = await leaderMessage(this.link, `KV_${bucket}`, {last_by_subj: subject})
    } catch (error) {
      if (!(error instanceof ServerRefused && error.missing)) throw asUnavailable(error)
    }
    if (found === undefined || found.header('KV-Operation') !== '') {
      throw new UnknownAgentType(
        `no agent type '${type}' is registered: start a host that runs it, with \`moonlet run\` or` +
          ' Host(...), or correct the name',
      )
    }
    const journal = await this.journalOf(type)
    const state = await this.link
      .api<{state: {last_seq: number}}>(`STREAM.INFO.${journal}`, undefined, TRY)
      .catch((error: unknown) => Promise.reject(asUnavailable(error)))
    const home = {...record(type, utf8.decode(found.data)), journal, end: state.state.last_seq}
    this.known.set(type, home)
    return home
  }

  private async journalOf(type: string): Promise<string> {
    const question = {subject: `${this.prefix}.evt.${type}.*`}
    const {streams} = await this.link
      .api<{streams: string[] | null}>('STREAM.NAMES', question, TRY)
      .catch((error: unknown) => Promise.reject(asUnavailable(error)))
    const [journal] = streams ?? []
    if (journal === undefined) {
      throw new Unavailable(`no journal takes commits of ${type} yet: start a host, then try again`)
    }
    return journal
  }

  /** Where clients write an agent's commands. */
  mailbox(agent: Agent, lane: Lane, home: Home): string {
    const partition = partitionOf(agent.key, home.partitions)
    const [{prefix}, {type, key}] = [this, agent]
    return home.pool === ''
      ? `${prefix}.cmd.${type}.${partition}.${lane}.${key}`
      : `${prefix}.cmd.${home.pool}.${partition}.${lane}.${type}.${key}`
  }

  /** Where an agent's owner answers: `service` is query or outcome. */
  owner(service: 'query' | 'outcome', agent: Agent, home: Home): string {
    const partition = partitionOf(agent.key, home.partitions)
    return home.pool === ''
      ? `${this.prefix}.${service}.${agent.type}.${partition}`
      : `${this.prefix}.${service}.${home.pool}.${partition}.${agent.type}`
  }

  /** The one subject of an agent's commits. */
  journal(agent: Agent): string {
    return `${this.prefix}.evt.${agent.type}.${agent.key}`
  }
}

function record(type: string, text: string): {pool: string; partitions: number} {
  try {
    const told = JSON.parse(text) as {pool?: unknown; slots?: unknown; partitions?: unknown}
    const partitions = told.pool === undefined ? told.partitions : told.slots
    const {pool = ''} = told
    if (Number.isSafeInteger(partitions) && Number(partitions) >= 1 && typeof pool === 'string') {
      return {pool, partitions: Number(partitions)}
    }
  } catch {
    // what it is, is said below
  }
  throw new Corrupt(`the registry's record of agent type ${type} can't be read: ${text.slice(0, 80)}`)
}

function asUnavailable(error: unknown): unknown {
  if (error instanceof ServerRefused && !error.final) return new Unavailable(error.message)
  return error
}
