/** Histories and topics as Observables; unsubscribing ends the reading at once. */

import {Observable} from 'rxjs'
import type {HistoryOptions, Moonlet, SubscribeOptions, TopicMessage} from './client.ts'
import type {Commit} from './commits.ts'

/** `Moonlet.history` as an Observable: each subscriber reads for itself. */
export function history$(moon: Moonlet, agent: string, options: HistoryOptions = {}): Observable<Commit> {
  return observed((signal) => moon.history(agent, {...options, signal}))
}

/** `Moonlet.subscribe` as an Observable: each subscriber reads for itself. */
export function topic$(
  moon: Moonlet,
  topic: string,
  options: SubscribeOptions = {},
): Observable<TopicMessage> {
  return observed((signal) => moon.subscribe(topic, {...options, signal}))
}

function observed<T>(open: (signal: AbortSignal) => AsyncIterable<T>): Observable<T> {
  return new Observable<T>((subscriber) => {
    const stop = new AbortController()
    const read = async (): Promise<void> => {
      for await (const item of open(stop.signal)) subscriber.next(item)
    }
    read().then(
      () => subscriber.complete(),
      (error: unknown) => subscriber.error(error),
    )
    return () => stop.abort()
  })
}
