/** How connections are opened, whatever carries them. */

import type {ConnectionOptions, NatsConnection} from '@nats-io/nats-core'
import {type ClientOptions, Moonlet} from './client.ts'
import {Unavailable} from './errors.ts'

/** How a client connects and speaks. */
export interface ConnectOptions extends ClientOptions {
  /** What the connection itself takes: credentials, TLS, names. */
  readonly nats?: ConnectionOptions
}

/** Milliseconds between tries to restore a connection. */
const RECONNECT_WAIT = 250

/** Milliseconds between pings: after two without an answer the connection is made anew. */
const PING = 20_000

/** A client on a connection that `dial` makes. */
export async function opened(
  dial: (options: ConnectionOptions) => Promise<NatsConnection>,
  url: string,
  options: ConnectOptions,
): Promise<Moonlet> {
  const {nats = {}, ...rest} = options
  let nc: NatsConnection
  try {
    nc = await dial({
      servers: url,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_WAIT,
      pingInterval: PING,
      ...nats,
    })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Unavailable(`no NATS server could be reached at ${url}: ${why}; start one, or correct it`)
  }
  try {
    return new Moonlet(nc, rest)
  } catch (error) {
    await nc.close()
    throw error
  }
}
