/** What both entries export. */

export {
  type AgentOf,
  type ClientOptions,
  type HistoryOptions,
  Moonlet,
  Receipt,
  type SubscribeOptions,
  type TopicMessage,
} from './client.ts'
export type {Encoding} from './codec.ts'
export type {
  Commit,
  CommittedCommand,
  CommittedEffect,
  CommittedEvent,
  Outcome,
} from './commits.ts'
export type {ConnectOptions} from './connecting.ts'
export * from './errors.ts'
export {type Lane, LANES} from './ids.ts'
export type {Integers} from './json.ts'
export {message, type Message, type MessageMaker} from './messages.ts'
export type {SendOptions} from './sending.ts'
