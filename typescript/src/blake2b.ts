/** BLAKE2b without a key (RFC 7693), on halves of 64-bit words: a number holds no whole one. */

const IV = Uint32Array.of(
  0xf3bcc908, 0x6a09e667, 0x84caa73b, 0xbb67ae85, 0xfe94f82b, 0x3c6ef372, 0x5f1d36f1, 0xa54ff53a,
  0xade682d1, 0x510e527f, 0x2b3e6c1f, 0x9b05688c, 0xfb41bd6b, 0x1f83d9ab, 0x137e2179, 0x5be0cd19,
)

/** The order of the message's words in each of ten rounds; the last two are the first two again. */
const SIGMA = [
  '0123456789abcdef',
  'ea489fd61c02b753',
  'b8c052fdae367194',
  '7931dcbe265a40f8',
  '905724afe1bc683d',
  '2c6a0b834d75fe19',
  'c51fed4a0763928b',
  'db7ec13950f4862a',
  '6fe9b308c2d714a5',
  'a2847615fb9e3cd0',
].map((round) => Uint8Array.from(round, (digit) => parseInt(digit, 16) * 2))

const BLOCK = 128

/** The digest of `data`, `size` bytes long: 1 to 64. */
export function blake2b(data: Uint8Array, size: number): Uint8Array {
  const h = IV.slice()
  h[0] = (h[0] as number) ^ 0x01010000 ^ size
  const block = new Uint8Array(BLOCK)
  const words = new DataView(block.buffer)
  const v = new Uint32Array(32)
  const m = new Uint32Array(32)
  let at = 0
  do {
    const end = Math.min(at + BLOCK, data.length)
    block.fill(0)
    block.set(data.subarray(at, end))
    at = end
    for (let i = 0; i < 32; i++) m[i] = words.getUint32(4 * i, true)
    compress(h, v, m, at, at === data.length)
  } while (at < data.length)
  const digest = new Uint8Array(size)
  for (let i = 0; i < size; i++) digest[i] = (h[i >> 2] as number) >>> (8 * (i & 3))
  return digest
}

function compress(h: Uint32Array, v: Uint32Array, m: Uint32Array, count: number, last: boolean): void {
  v.set(h)
  v.set(IV, 16)
  v[24] = (v[24] as number) ^ count
  v[25] = (v[25] as number) ^ (count / 2 ** 32)
  if (last) {
    v[28] = ~(v[28] as number)
    v[29] = ~(v[29] as number)
  }
  for (let round = 0; round < 12; round++) {
    const s = SIGMA[round % 10] as Uint8Array
    mix(v, m, 0, 8, 16, 24, s[0] as number, s[1] as number)
    mix(v, m, 2, 10, 18, 26, s[2] as number, s[3] as number)
    mix(v, m, 4, 12, 20, 28, s[4] as number, s[5] as number)
    mix(v, m, 6, 14, 22, 30, s[6] as number, s[7] as number)
    mix(v, m, 0, 10, 20, 30, s[8] as number, s[9] as number)
    mix(v, m, 2, 12, 22, 24, s[10] as number, s[11] as number)
    mix(v, m, 4, 14, 16, 26, s[12] as number, s[13] as number)
    mix(v, m, 6, 8, 18, 28, s[14] as number, s[15] as number)
  }
  for (let i = 0; i < 16; i++) h[i] = (h[i] as number) ^ (v[i] as number) ^ (v[i + 16] as number)
}

/** G of the RFC on the words at a, b, c, d, with the message's words at x and y. */
function mix(
  v: Uint32Array,
  m: Uint32Array,
  a: number,
  b: number,
  c: number,
  d: number,
  x: number,
  y: number,
): void {
  add(v, a, v[b] as number, v[b + 1] as number)
  add(v, a, m[x] as number, m[x + 1] as number)
  turn(v, d, a, 32)
  add(v, c, v[d] as number, v[d + 1] as number)
  turn(v, b, c, 24)
  add(v, a, v[b] as number, v[b + 1] as number)
  add(v, a, m[y] as number, m[y + 1] as number)
  turn(v, d, a, 16)
  add(v, c, v[d] as number, v[d + 1] as number)
  turn(v, b, c, 63)
}

function add(v: Uint32Array, at: number, low: number, high: number): void {
  const sum = (v[at] as number) + low
  v[at] = sum
  v[at + 1] = (v[at + 1] as number) + high + (sum >= 2 ** 32 ? 1 : 0)
}

/** The word at `at`, exclusive or that at `by`, turned right by `bits`. */
function turn(v: Uint32Array, at: number, by: number, bits: 16 | 24 | 32 | 63): void {
  const low = (v[at] as number) ^ (v[by] as number)
  const high = (v[at + 1] as number) ^ (v[by + 1] as number)
  if (bits === 32) {
    v[at] = high
    v[at + 1] = low
  } else if (bits === 63) {
    v[at] = (low << 1) | (high >>> 31)
    v[at + 1] = (high << 1) | (low >>> 31)
  } else {
    v[at] = (low >>> bits) | (high << (32 - bits))
    v[at + 1] = (high >>> bits) | (low << (32 - bits))
  }
}
