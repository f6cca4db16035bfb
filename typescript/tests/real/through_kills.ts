/**
 * Tells and asks while whoever started this kills hosts and servers: prints how far it is, and at
 * the end, as JSON, what each agent must hold: each command once.
 */

import {connect, type Moonlet, Unknown} from '../../src/node.ts'
import {Deposit, told} from '../accounts.ts'

const [COMMANDS, IN_FLIGHT, AGENTS] = [Number(told('MOONLET_COMMANDS')), 40, 5]
const url = told('MOONLET_URL')
const moon = await connect(url, {prefix: told('MOONLET_PREFIX')})
const sums: Record<string, number> = {}
let next = 0
let unknown = 0

async function send(moon: Moonlet, n: number): Promise<void> {
  const agent = `account/kill-${told('MOONLET_NAME')}-${n % AGENTS}` as const
  const amount = 1 + (n % 7)
  sums[agent] = (sums[agent] ?? 0) + amount
  const own = n % 4 === 0 ? {id: `${told('MOONLET_NAME')}-own-${n}`} : {}
  const options = {timeout: 20_000, ...own}
  let id = ''
  for (;;) {
    try {
      if (n % 2 === 0) await moon.ask(agent, Deposit({amount}), id === '' ? options : {...options, id})
      else await (await moon.tell(agent, Deposit({amount}), options)).committed({timeout: 60_000})
      return
    } catch (error) {
      if (!(error instanceof Unknown)) throw error
      unknown++
      if (!('id' in own)) throw error
      id = error.commandId
    }
  }
}

async function worker(): Promise<void> {
  for (let n = next++; n < COMMANDS; n = next++) {
    await send(moon, n)
    if (n % 50 === 0) console.log(`at ${n}`)
  }
}

await Promise.all(Array.from({length: IN_FLIGHT}, worker))
console.log(JSON.stringify({sums, unknown}))
await moon.close()
