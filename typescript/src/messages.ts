/** What is sent: a command or a query by its schema's name, with plain data, and its types. */

declare const reply: unique symbol
declare const receiver: unique symbol

/**
 * A message to an agent of a type, and what it is answered. Both types are for the compiler only;
 * `{name: 'Deposit', body: {amount: 5}}` is one as well, to whomever, answered with `unknown`.
 */
export interface Message<Type extends string = string, Reply = unknown> {
  readonly name: string
  readonly body: unknown
  /** The version of the schema, from 1; 1 if left out. */
  readonly version?: number
  readonly [receiver]?: Type
  readonly [reply]?: Reply
}

/** Makes messages of one kind: `const Deposit = message<'account', {amount: number}, number>('Deposit')`. */
export interface MessageMaker<Type extends string, Body, Reply> {
  (...body: object extends Body ? [body?: Body] : [body: Body]): Message<Type, Reply>
  /** The schema's name. */
  readonly schema: string
}

/** A maker of messages of one kind; `ask('account/alice', Deposit({amount: 5}))` is then checked. */
export function message<Type extends string, Body extends object = object, Reply = unknown>(
  name: string,
  version = 1,
): MessageMaker<Type, Body, Reply> {
  const make = (body?: Body): Message<Type, Reply> => ({name, body: body ?? {}, version})
  return Object.assign(make, {schema: name})
}
