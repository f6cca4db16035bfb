/** The messages of the account that most tests of the runtime use (tests/agents/accounts.py). */

import {message} from '../src/node.ts'

export const Deposit = message<'account', {amount: number}, number>('Deposit')
export const Fill = message<'account', {events: number; size: number}, null>('Fill')
export const Fail = message<'account', {text?: string}, never>('Fail')
export const Announce = message<'account', {topic: string; text: string}, null>('Announce')
export const GetBalance = message<'account', object, number>('GetBalance')

/** What the surrounding test tells by the environment. */
export function told(name: string): string {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is not set: run this by tests/typescript`)
  return value
}
