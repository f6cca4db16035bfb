/**
 * Moonlet's agents from Node and browsers.
 *
 * ```ts
 * import {connect, message} from '@moonlet/client'
 *
 * const Deposit = message<'account', {amount: number}, number>('Deposit')
 * await using moon = await connect('ws://127.0.0.1:8080')
 * const balance = await moon.ask('account/alice', Deposit({amount: 5}))
 * for await (const commit of moon.history('account/alice')) console.log(commit.revision, commit.outcome)
 * ```
 *
 * @packageDocumentation
 */

import {wsconnect} from '@nats-io/nats-core'
import type {Moonlet} from './client.ts'
import {type ConnectOptions, opened} from './connecting.ts'
import {InvalidSettings} from './errors.ts'

export * from './public.ts'

/**
 * A client on the server at a `ws:` or `wss:` address; reconnects for ever once it was connected.
 * Raises `Unavailable` if nobody answers there.
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Moonlet> {
  if (!/^wss?:/.test(url)) {
    throw new InvalidSettings(`${url}: a page connects by WebSocket: give a ws: or wss: address`)
  }
  return await opened(wsconnect, url, options)
}
