/** MessagePack: what the wire uses of it, and the canonical bytes that digests are made of. */

import {InvalidMessage} from './errors.ts'
import {type Integers, MAX_DEPTH} from './json.ts'

const utf8 = new TextEncoder()
const text = new TextDecoder('utf-8', {fatal: true})

/** The most values that one message may hold, those in others counted. */
const MAX_VALUES = 1_048_576

/**
 * The bytes of plain data, as msgspec would write them. A number without a fraction is an integer,
 * as its JSON is one. `sorted` puts keys into order, so that equal values have equal bytes.
 */
export function packed(value: unknown, sorted = false): Uint8Array {
  const writer = new Writer(sorted)
  writer.write(value)
  return writer.bytes()
}

class Writer {
  private buffer = new Uint8Array(256)
  private view = new DataView(this.buffer.buffer)
  private size = 0
  private readonly sorted: boolean

  constructor(sorted: boolean) {
    this.sorted = sorted
  }

  bytes(): Uint8Array {
    return this.buffer.slice(0, this.size)
  }

  write(value: unknown): void {
    if (value === null || value === undefined) this.byte(0xc0)
    else if (value === false) this.byte(0xc2)
    else if (value === true) this.byte(0xc3)
    else if (typeof value === 'number') this.number(value)
    else if (typeof value === 'bigint') this.integer(value)
    else if (typeof value === 'string') this.string(value)
    else if (value instanceof Date) this.string(value.toISOString())
    else if (Array.isArray(value)) {
      this.head(value.length, 0x90, 16, 0xdc)
      for (const item of value) this.write(item)
    } else this.map(value as Record<string, unknown>)
  }

  private map(value: Record<string, unknown>): void {
    const keys = Object.keys(value).filter((key) => value[key] !== undefined)
    if (this.sorted) keys.sort(byCodePoint)
    this.head(keys.length, 0x80, 16, 0xde)
    for (const key of keys) {
      this.string(key)
      this.write(value[key])
    }
  }

  private number(value: number): void {
    if (Number.isSafeInteger(value)) {
      if (value >= 0 && value < 128) this.byte(value)
      else if (value < 0 && value >= -32) this.byte(value + 256)
      else this.integer(BigInt(value))
      return
    }
    this.byte(0xcb)
    const at = this.room(8)
    this.view.setFloat64(at, value)
  }

  private integer(value: bigint): void {
    if (value >= 0n) {
      if (value < 128n) this.byte(Number(value))
      else if (value < 0x100n) this.sized(0xcc, 1, value)
      else if (value < 0x10000n) this.sized(0xcd, 2, value)
      else if (value < 0x100000000n) this.sized(0xce, 4, value)
      else this.sized(0xcf, 8, value)
    } else if (value >= -32n) this.byte(Number(value) + 256)
    else if (value >= -0x80n) this.sized(0xd0, 1, value)
    else if (value >= -0x8000n) this.sized(0xd1, 2, value)
    else if (value >= -0x80000000n) this.sized(0xd2, 4, value)
    else this.sized(0xd3, 8, value)
  }

  private sized(first: number, width: number, value: bigint): void {
    this.byte(first)
    const at = this.room(width)
    const bits = BigInt.asUintN(8 * width, value)
    if (width === 1) this.view.setUint8(at, Number(bits))
    else if (width === 2) this.view.setUint16(at, Number(bits))
    else if (width === 4) this.view.setUint32(at, Number(bits))
    else this.view.setBigUint64(at, bits)
  }

  private string(value: string): void {
    const bytes = utf8.encode(value)
    if (bytes.length < 32) this.byte(0xa0 + bytes.length)
    else if (bytes.length < 0x100) this.sized(0xd9, 1, BigInt(bytes.length))
    else if (bytes.length < 0x10000) this.sized(0xda, 2, BigInt(bytes.length))
    else this.sized(0xdb, 4, BigInt(bytes.length))
    const at = this.room(bytes.length)
    this.buffer.set(bytes, at)
  }

  private head(length: number, small: number, below: number, large: number): void {
    if (length < below) this.byte(small + length)
    else if (length < 0x10000) this.sized(large, 2, BigInt(length))
    else this.sized(large + 1, 4, BigInt(length))
  }

  private byte(value: number): void {
    const at = this.room(1)
    this.buffer[at] = value
  }

  private room(bytes: number): number {
    const at = this.size
    this.size += bytes
    if (this.size > this.buffer.length) {
      const larger = new Uint8Array(Math.max(2 * this.buffer.length, this.size))
      larger.set(this.buffer)
      this.buffer = larger
      this.view = new DataView(larger.buffer)
    }
    return at
  }
}

/** By code points, as the bytes of UTF-8 are ordered, and not by halves of them. */
function byCodePoint(left: string, right: string): number {
  const [a, b] = [utf8.encode(left), utf8.encode(right)]
  const common = Math.min(a.length, b.length)
  for (let i = 0; i < common; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** The value of a message; raises `InvalidMessage` for what is cut off, too deep or too much. */
export function unpacked(data: Uint8Array, integers: Integers = 'refuse'): unknown {
  return new Unpacker(data, integers).read()
}

class Unpacker {
  private at = 0
  private values = 0
  private readonly view: DataView
  private readonly data: Uint8Array
  private readonly integers: Integers

  constructor(data: Uint8Array, integers: Integers) {
    this.data = data
    this.integers = integers
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  }

  read(): unknown {
    const value = this.value(0)
    if (this.at !== this.data.length) throw wrong(`${this.data.length - this.at} bytes too many`)
    return value
  }

  private value(depth: number): unknown {
    if (depth > MAX_DEPTH + 8) throw wrong(`nested deeper than ${MAX_DEPTH}`)
    if (++this.values > MAX_VALUES) throw wrong(`over ${MAX_VALUES} values`)
    const first = this.view.getUint8(this.take(1))
    if (first < 0x80) return first
    if (first < 0x90) return this.map(first & 15, depth)
    if (first < 0xa0) return this.array(first & 15, depth)
    if (first < 0xc0) return this.string(first & 31)
    if (first >= 0xe0) return first - 256
    switch (first) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xca:
        return this.view.getFloat32(this.take(4))
      case 0xcb:
        return this.view.getFloat64(this.take(8))
      case 0xcf:
        return this.long(this.view.getBigUint64(this.take(8)))
      case 0xd3:
        return this.long(this.view.getBigInt64(this.take(8)))
      case 0xd0:
        return this.view.getInt8(this.take(1))
      case 0xd1:
        return this.view.getInt16(this.take(2))
      case 0xd2:
        return this.view.getInt32(this.take(4))
      case 0xdc:
      case 0xdd:
        return this.array(this.length(first - 0xdb), depth)
      case 0xde:
      case 0xdf:
        return this.map(this.length(first - 0xdd), depth)
    }
    if (first >= 0xcc && first <= 0xce) return this.length(first - 0xcc)
    if (first >= 0xd9 && first <= 0xdb) return this.string(this.length(first - 0xd9))
    if (first >= 0xc4 && first <= 0xc6) return this.bytes(this.length(first - 0xc4)).slice()
    throw wrong(`a byte 0x${first.toString(16)}, which no value begins with here`)
  }

  private length(power: number): number {
    const at = this.take(2 ** power)
    if (power === 0) return this.view.getUint8(at)
    return power === 1 ? this.view.getUint16(at) : this.view.getUint32(at)
  }

  private long(value: bigint): number | bigint {
    const number = Number(value)
    if (Number.isSafeInteger(number)) return number
    if (this.integers === 'bigint') return value
    throw wrong(`${value}, beyond 2^53 - 1: connect with integers: 'bigint'`)
  }

  private map(length: number, depth: number): Record<string, unknown> {
    const fields: Record<string, unknown> = {}
    for (let i = 0; i < length; i++) {
      const key = this.value(depth + 1)
      const value = this.value(depth + 1)
      Object.defineProperty(fields, String(key), {
        value,
        configurable: true,
        enumerable: true,
        writable: true,
      })
    }
    return fields
  }

  private array(length: number, depth: number): unknown[] {
    const items: unknown[] = []
    for (let i = 0; i < length; i++) items.push(this.value(depth + 1))
    return items
  }

  private string(length: number): string {
    try {
      return text.decode(this.bytes(length))
    } catch (error) {
      if (error instanceof InvalidMessage) throw error
      throw wrong('text that is no UTF-8')
    }
  }

  private bytes(length: number): Uint8Array {
    const at = this.take(length)
    return this.data.subarray(at, at + length)
  }

  private take(length: number): number {
    const at = this.at
    if (at + length > this.data.length) throw wrong('an end that comes too early')
    this.at += length
    return at
  }
}

function wrong(what: string): InvalidMessage {
  return new InvalidMessage(`the body does not fit: MessagePack has ${what}`)
}
