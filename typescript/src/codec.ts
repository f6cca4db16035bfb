/** Bytes and back: JSON or MessagePack, zstd where it was compressed; all bounds checked first. */

import {decompress} from 'fzstd'
import {InvalidMessage, PayloadTooLarge} from './errors.ts'
import {type Integers, parseJson, stringifyJson} from './json.ts'
import {packed, unpacked} from './msgpack.ts'

/** How messages are written. What is read says its own. */
export type Encoding = 'json' | 'msgpack'

/** Names the encoding of a payload, `json` if absent; `+zstd` is added to a compressed one. */
export const ENCODING_HEADER = 'Moonlet-Encoding'

/** Bytes that a compressed payload may hold at most. */
export const MAX_PLAIN = 16_777_216

/** The same for a command, compressed or not. */
export const MAX_COMMAND_PLAIN = MAX_PLAIN / 2

const utf8 = new TextEncoder()
const text = new TextDecoder('utf-8', {fatal: true})

/** The bytes of plain data; raises `InvalidMessage` for what can't be told as it is. */
export function encode(value: unknown, encoding: Encoding): Uint8Array {
  const json = stringifyJson(value)
  return encoding === 'json' ? utf8.encode(json) : packed(value)
}

/** The value of a payload as its header says it; raises `InvalidMessage`, `PayloadTooLarge`. */
export function decode(payload: Uint8Array, header: string, integers: Integers): unknown {
  const data = plainBytes(payload, header)
  if (header.startsWith('msgpack')) return unpacked(data, integers)
  let json: string
  try {
    json = text.decode(data)
  } catch {
    throw new InvalidMessage('the body does not fit: it is no UTF-8')
  }
  return parseJson(json, integers)
}

/** The uncompressed bytes of a payload. */
export function plainBytes(payload: Uint8Array, header: string): Uint8Array {
  switch (header) {
    case '':
    case 'json':
    case 'msgpack':
      return payload
    case 'json+zstd':
    case 'msgpack+zstd':
      break
    default:
      throw new InvalidMessage(
        `unknown encoding ${JSON.stringify(header)}: expected json or msgpack, or +zstd`,
      )
  }
  const size = frameSize(payload)
  if (size > MAX_PLAIN) {
    const what = `a compressed payload claims ${size} bytes, over the limit of ${MAX_PLAIN}`
    throw new PayloadTooLarge(what, MAX_PLAIN, size)
  }
  try {
    const plain = decompress(payload, new Uint8Array(size))
    if (plain.length !== size) throw new Error(`it holds ${plain.length} bytes, and claims ${size}`)
    return plain
  } catch (error) {
    throw new InvalidMessage(`the payload can't be decompressed: ${(error as Error).message}`)
  }
}

/** What a frame of zstd says that it holds (RFC 8878, 3.1.1.1); it must say so. */
function frameSize(payload: Uint8Array): number {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  if (payload.length < 6 || view.getUint32(0, true) !== 0xfd2fb528) {
    throw new InvalidMessage("the payload can't be decompressed: it is no zstd")
  }
  const descriptor = view.getUint8(4)
  const single = (descriptor & 32) !== 0
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0
  const at = 5 + (single ? 0 : 1) + dictionary
  const power = descriptor >> 6
  if (power === 0 && !single) {
    throw new InvalidMessage('the compressed payload does not state its size: state it')
  }
  if (at + 2 ** power > payload.length) {
    throw new InvalidMessage("the payload can't be decompressed: it is cut off")
  }
  if (power === 0) return view.getUint8(at)
  if (power === 1) return view.getUint16(at, true) + 256
  return power === 2 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true))
}
