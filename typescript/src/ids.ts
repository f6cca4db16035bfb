/** Names that may enter a subject, checked before anything is sent. */

import {InvalidId} from './errors.ts'

/** Priority levels of a mailbox, the most urgent first. */
export const LANES = ['critical', 'high', 'medium', 'low'] as const

/** A priority level of a mailbox. */
export type Lane = (typeof LANES)[number]

/** The address of one agent, both parts checked. */
export interface Agent {
  readonly type: string
  readonly key: string
  /** `type/key`. */
  readonly text: string
}

const NAME = /^[A-Za-z0-9_-]{1,128}$/
const TOPIC = /^[A-Za-z0-9_-]{1,128}(\.[A-Za-z0-9_-]{1,128}){0,7}$/
const COMMAND_ID = /^[\x21-\x7e]{1,400}$/

const utf8 = new TextEncoder()

/** Reads `type/key`; raises `InvalidId` that names the part at fault. */
export function parseAgent(text: string): Agent {
  const slash = typeof text === 'string' ? text.indexOf('/') : -1
  if (slash < 0) {
    throw new InvalidId(`agent id ${show(text)}: write it as type/key, like account/alice`)
  }
  const type = checkName(text.slice(0, slash), 'agent type')
  return {type, key: checkName(text.slice(slash + 1), 'agent key'), text}
}

/** The name, if it is 1 to 128 of A-Z a-z 0-9 _ -; `what` names it in the error. */
export function checkName(name: string, what: string): string {
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new InvalidId(
      `${what} ${show(name)}: use 1 to 128 of the characters A-Z a-z 0-9 _ and - only`,
    )
  }
  return name
}

/** The topic, if it is one to eight names joined by dots. */
export function checkTopic(topic: string): string {
  if (typeof topic !== 'string' || !TOPIC.test(topic)) {
    throw new InvalidId(
      `topic ${show(topic)}: use one to eight names of A-Z a-z 0-9 _ - joined by dots`,
    )
  }
  return topic
}

/** The id, if it is 1 to 400 visible ASCII characters. */
export function checkCommandId(id: string): string {
  if (typeof id !== 'string' || !COMMAND_ID.test(id)) {
    throw new InvalidId(
      `command id ${show(id)}: use 1 to 400 visible ASCII characters without spaces`,
    )
  }
  return id
}

/** The lane, if it is one of the four. */
export function checkLane(lane: string): Lane {
  if (!(LANES as readonly string[]).includes(lane)) {
    throw new InvalidId(`lane ${show(lane)}: choose one of ${LANES.join(', ')}`)
  }
  return lane as Lane
}

/** The partition of an agent's key: FNV-1a 32 of its UTF-8 bytes, modulo `partitions`. */
export function partitionOf(key: string, partitions: number): number {
  let value = 2166136261
  for (const byte of utf8.encode(key)) value = Math.imul(value ^ byte, 16777619)
  return (value >>> 0) % partitions
}

/** 128 random bits as text: what nobody else has. */
export function token(bytes = 16): string {
  let text = ''
  for (const byte of crypto.getRandomValues(new Uint8Array(bytes))) {
    text += byte.toString(16).padStart(2, '0')
  }
  return text
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`
}
