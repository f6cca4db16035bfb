/**
 * JSON without the silent loss of `JSON`: integers beyond 2^53 lose digits. The fast way is the
 * platform's own; what it would get wrong is read here. Of two keys of one name the last counts.
 */

import {InvalidMessage} from './errors.ts'

/** How integers beyond ±(2^53 − 1) are read: refused, or as `bigint`. */
export type Integers = 'refuse' | 'bigint'

/** How deep arrays and objects of a body may nest. */
export const MAX_DEPTH = 64

/** How deep records get around a body of that depth. */
const RECORD_DEPTH = MAX_DEPTH + 8

const SUSPECT = /\d{17}|9\d{15}/

/** The value of a text; raises `InvalidMessage` with the path of what is wrong. */
export function parseJson(text: string, integers: Integers = 'refuse'): unknown {
  if (SUSPECT.test(text)) return new Reader(text, integers).read()
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new InvalidMessage(`the body does not fit: ${(error as Error).message}`)
  }
}

/** The text of plain data: what `JSON` would change in silence is refused, with its path. */
export function stringifyJson(value: unknown): string {
  return checkPlain(value) ? exact(value) : JSON.stringify(value)
}

/**
 * Whether there is a bigint in it, or a `Date`, which is written as ISO text. Raises
 * `InvalidMessage` for what can't be told as it is: no number, unsafe integers, holes, classes.
 */
function checkPlain(root: unknown): boolean {
  let big = false
  const walk = (value: unknown, path: () => string, depth: number): void => {
    switch (typeof value) {
      case 'string':
        if (!isWellFormed(value)) throw new InvalidMessage(`${path()} holds half a character`, path())
        return
      case 'boolean':
        return
      case 'number':
        if (!Number.isFinite(value)) {
          const what = `${path()} is ${value}: numbers must be finite; leave the field out or use null`
          throw new InvalidMessage(what, path())
        }
        if (Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < 1e21) {
          const what = `${path()} is ${value}, beyond 2^53 - 1: it may have lost digits; use a bigint`
          throw new InvalidMessage(what, path())
        }
        return
      case 'bigint':
        if (value < -(2n ** 63n) || value >= 2n ** 64n) {
          throw new InvalidMessage(`${path()} is ${value}, beyond 64 bits: write it as text`, path())
        }
        big = true
        return
      case 'object':
        break
      default:
        throw new InvalidMessage(`${path()} is ${typeof value}, which is no plain data`, path())
    }
    if (value === null) return
    if (depth >= MAX_DEPTH) {
      throw new InvalidMessage(`the body is nested deeper than ${MAX_DEPTH}; flatten it`, path())
    }
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) walk(value[i], () => `${path()}[${i}]`, depth + 1)
      return
    }
    if (value instanceof Date) {
      big = true
      if (!Number.isFinite(value.getTime())) throw new InvalidMessage(`${path()} is no date`, path())
      return
    }
    const prototype = Object.getPrototypeOf(value) as unknown
    if (prototype !== Object.prototype && prototype !== null) {
      const kind = (value as object).constructor.name
      throw new InvalidMessage(`${path()} is a ${kind}: give a plain object or an array`, path())
    }
    for (const [key, item] of Object.entries(value as object)) {
      if (item !== undefined) walk(item, () => `${path()}.${key}`, depth + 1)
    }
  }
  walk(root, () => '$', 0)
  return big
}

function exact(value: unknown): string {
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Date) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(exact).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([, item]) => item !== undefined)
    return `{${fields.map(([key, item]) => `${JSON.stringify(key)}:${exact(item)}`).join(',')}}`
  }
  return JSON.stringify(value)
}

function isWellFormed(text: string): boolean {
  return (text as {isWellFormed?: () => boolean}).isWellFormed?.() ?? true
}

const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const TEXT = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const SPACE = /[ \t\n\r]*/y

/** A reader by the grammar of RFC 8259, for texts with long numbers. */
class Reader {
  private at = 0
  private readonly text: string
  private readonly integers: Integers

  constructor(text: string, integers: Integers) {
    this.text = text
    this.integers = integers
  }

  read(): unknown {
    const value = this.value(() => '$', 0)
    this.space()
    if (this.at !== this.text.length) throw this.wrong('$')
    return value
  }

  private value(path: () => string, depth: number): unknown {
    this.space()
    if (depth > RECORD_DEPTH) {
      throw new InvalidMessage(`the body is nested deeper than ${MAX_DEPTH}; flatten it`)
    }
    const next = this.text[this.at]
    if (next === '{') return this.object(path, depth)
    if (next === '[') return this.array(path, depth)
    if (next === '"') return this.string(path)
    for (const [word, value] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length
        return value
      }
    }
    return this.number(path)
  }

  private object(path: () => string, depth: number): Record<string, unknown> {
    const fields: Record<string, unknown> = {}
    this.at++
    if (this.takes('}')) return fields
    do {
      this.space()
      const key = this.string(path)
      if (!this.takes(':')) throw this.wrong(path())
      const value = this.value(() => `${path()}.${key}`, depth + 1)
      Object.defineProperty(fields, key, {
        value,
        configurable: true,
        enumerable: true,
        writable: true,
      })
    } while (this.takes(','))
    if (!this.takes('}')) throw this.wrong(path())
    return fields
  }

  private array(path: () => string, depth: number): unknown[] {
    const items: unknown[] = []
    this.at++
    if (this.takes(']')) return items
    do {
      const place = items.length
      items.push(this.value(() => `${path()}[${place}]`, depth + 1))
    } while (this.takes(','))
    if (!this.takes(']')) throw this.wrong(path())
    return items
  }

  private string(path: () => string): string {
    return JSON.parse(this.match(TEXT, path)[0]) as string
  }

  private number(path: () => string): number | bigint {
    const [text, fraction, exponent] = this.match(NUMBER, path)
    const value = Number(text)
    if (fraction !== undefined || exponent !== undefined || Number.isSafeInteger(value)) return value
    if (this.integers === 'bigint') return BigInt(text)
    throw new InvalidMessage(
      `${path()} is ${text}, beyond 2^53 - 1, which a number of JavaScript can't hold: connect` +
        " with integers: 'bigint'",
      path(),
    )
  }

  private match(pattern: RegExp, path: () => string): RegExpExecArray {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    if (found === null) throw this.wrong(path())
    this.at = pattern.lastIndex
    return found
  }

  private takes(character: string): boolean {
    this.space()
    if (this.text[this.at] !== character) return false
    this.at++
    return true
  }

  private space(): void {
    SPACE.lastIndex = this.at
    SPACE.exec(this.text)
    this.at = SPACE.lastIndex
  }

  private wrong(path: string): InvalidMessage {
    return new InvalidMessage(`the body does not fit: no JSON at byte ${this.at} - at \`${path}\``, path)
  }
}

const WORDS: readonly (readonly [string, unknown])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
]
