/** Digests: of a stored commit, which chain an agent's history, and of a command's body. */

import {blake2b} from './blake2b.ts'
import {packed} from './msgpack.ts'

/** Carries the digest of the commit stored beside it. */
export const DIGEST_HEADER = 'Moonlet-Digest'

/** Of a commit's uncompressed bytes: BLAKE2b of 16 bytes, as hex. */
export function recordDigest(record: Uint8Array): string {
  return hex(blake2b(record, 16))
}

/** Tells two commands of one id apart; the order of a body's keys is no matter. */
export function bodyDigest(name: string, body: unknown): string {
  return hex(blake2b(packed([name, body], true), 8))
}

function hex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}
