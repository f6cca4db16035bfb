/** Plain data: nothing is changed in silence, nothing but our errors leaves a decoder. */

import assert from 'node:assert/strict'
import {test} from 'node:test'
import fc from 'fast-check'
import {decode} from '../src/codec.ts'
import {errorNamed, InvalidId, InvalidMessage, MoonletError, Rejected} from '../src/errors.ts'
import {checkCommandId, checkLane, checkTopic, parseAgent} from '../src/ids.ts'
import {parseJson, stringifyJson} from '../src/json.ts'
import {packed, unpacked} from '../src/msgpack.ts'
import {Counter, WINDOW} from '../src/numbers.ts'

/** Integers that a number may not hold, which have tests of their own. */
const LONG = /\d{16}|-0/

function invalidAt(path: string): (error: unknown) => boolean {
  return (error) => error instanceof InvalidMessage && error.path === path
}

test('integers that a number would cut are refused with their path, or read as bigint', () => {
  const text = '{"a":[1,{"id":9007199254740993}],"t":1764600000000000,"f":0.12345678901234567}'
  assert.throws(() => parseJson(text), invalidAt('$.a[1].id'))
  const read = parseJson(text, 'bigint') as {a: [number, {id: bigint}]; t: number}
  assert.equal(read.a[1].id, 9007199254740993n)
  assert.equal(read.t, 1764600000000000)
  assert.equal(stringifyJson(read), text.replace('0.12345678901234567', '0.12345678901234566'))
  assert.equal(parseJson('"12345678901234567890"'), '12345678901234567890')
})

test('what JSON would change in silence is refused with its path', () => {
  const holes: [unknown, string][] = [
    [{a: Number.NaN}, '$.a'],
    [[1, Number.POSITIVE_INFINITY], '$[1]'],
    [{a: [undefined]}, '$.a[0]'],
    [{a: new Map()}, '$.a'],
    [{a: 2 ** 53}, '$.a'],
    [{a: 2n ** 64n}, '$.a'],
    [{a: '\ud800'}, '$.a'],
    [{a: () => 1}, '$.a'],
    [new Date(Number.NaN), '$'],
  ]
  for (const [value, path] of holes) assert.throws(() => stringifyJson(value), invalidAt(path))
  let deep: unknown = 1
  for (let i = 0; i < 65; i++) deep = [deep]
  assert.throws(() => stringifyJson(deep), InvalidMessage)
  const date = new Date(0)
  assert.equal(stringifyJson({date, left: undefined}), '{"date":"1970-01-01T00:00:00.000Z"}')
})

test('any plain data comes back from JSON and from MessagePack', () => {
  const plain = fc
    .json({maxDepth: 5})
    .filter((json) => !LONG.test(json))
    .map((json) => JSON.parse(json) as unknown)
  fc.assert(
    fc.property(plain, (value) => {
      assert.deepEqual(unpacked(packed(value)), value)
      assert.deepEqual(parseJson(JSON.stringify(value)), value)
    }),
    {numRuns: 300},
  )
})

test('the careful reader of JSON agrees with the platform', () => {
  const short = fc.json().filter((json) => !LONG.test(json))
  const long = ',"n":12345678901234567.5}'
  fc.assert(
    fc.property(short, short, (left, right) => {
      const text = `{"a":${left},"b":${right}${long}`
      assert.deepEqual(parseJson(text, 'bigint'), JSON.parse(text))
    }),
    {numRuns: 300},
  )
})

test('bytes of any kind raise nothing but errors of ours', () => {
  const headers = fc.constantFrom('', 'json', 'msgpack', 'json+zstd', 'msgpack+zstd', 'other')
  const zstd = fc.uint8Array({maxLength: 64}).map((rest) => {
    return Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, ...rest])
  })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({maxLength: 200}), zstd), headers, (bytes, header) => {
      try {
        decode(bytes, header, 'refuse')
      } catch (error) {
        assert.ok(error instanceof MoonletError, String(error))
      }
    }),
    {numRuns: 2_000},
  )
  const noise = fc.array(fc.constantFrom('{', '}', '[', ']', '"', ':', ',', '1', '\\', 'u', 'e', '.', '-'))
  fc.assert(
    fc.property(noise, (parts) => {
      try {
        parseJson(`[12345678901234567.5,${parts.join('')}]`)
      } catch (error) {
        assert.ok(error instanceof InvalidMessage, String(error))
      }
    }),
    {numRuns: 2_000},
  )
})

test('a key named __proto__ is data like any other', () => {
  const text = '{"__proto__":{"a":1},"n":12345678901234567.5}'
  for (const value of [parseJson(text), unpacked(packed(parseJson(text)))]) {
    assert.ok(Object.hasOwn(value as object, '__proto__'))
    assert.equal((value as {a?: number}).a, undefined)
  }
})

test('ids, lanes and topics outside their grammar are refused in our words', () => {
  assert.equal(parseAgent('account/alice').key, 'alice')
  for (const text of ['account', 'account/', '/alice', 'account/a b', 'account/a.b', 'a/>', `a/${'x'.repeat(129)}`]) {
    assert.throws(() => parseAgent(text), InvalidId)
  }
  assert.throws(() => parseAgent(5 as unknown as string), InvalidId)
  assert.throws(() => checkLane('urgent'), InvalidId)
  assert.throws(() => checkTopic('a..b'), InvalidId)
  assert.throws(() => checkCommandId('a b'), InvalidId)
  assert.throws(() => checkCommandId(''), InvalidId)
})

test('an error keeps its class by its name, and no other name makes one', () => {
  assert.ok(errorNamed('Rejected', 'no') instanceof Rejected)
  for (const name of ['', 'Unknown', 'toString', '__proto__', 'constructor']) {
    assert.equal(errorNamed(name, 'no'), undefined)
  }
})

test('no number is given out 1,024 ahead of the oldest in flight', async () => {
  const counter = new Counter()
  for (let n = 1; n <= WINDOW; n++) assert.equal(counter.takeNow(), n)
  assert.equal(counter.takeNow(), undefined)
  const [first, second, third] = [counter.take(), counter.take(), counter.take()]
  counter.done(500)
  second.cancel()
  counter.done(1)
  assert.equal(await first.number, WINDOW + 1)
  counter.done(2)
  assert.equal(await third.number, WINDOW + 2)
  third.cancel()
})
