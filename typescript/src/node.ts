/** The same for Node, which speaks TCP as well. */

import {wsconnect} from '@nats-io/nats-core'
import type {Moonlet} from './client.ts'
import {type ConnectOptions, opened} from './connecting.ts'

export * from './public.ts'

/**
 * A client on the server at `url`: `nats:` and `tls:` addresses by TCP, `ws:` and `wss:` by
 * WebSocket; reconnects for ever once it was connected. Raises `Unavailable` if nobody answers there.
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Moonlet> {
  if (/^wss?:/.test(url)) return await opened(wsconnect, url, options)
  const tcp = await import('@nats-io/transport-node')
  return await opened(tcp.connect as Parameters<typeof opened>[0], url, options)
}
