/** The bytes that Python writes and reads, written and read here. */

import assert from 'node:assert/strict'
import {readFileSync} from 'node:fs'
import {test} from 'node:test'
import {decode} from '../src/codec.ts'
import {bodyDigest, recordDigest} from '../src/digests.ts'
import {encodeEnvelope, type Envelope, messageId} from '../src/envelope.ts'
import {MoonletError} from '../src/errors.ts'
import {partitionOf} from '../src/ids.ts'
import {parseJson, stringifyJson} from '../src/json.ts'
import {packed, unpacked} from '../src/msgpack.ts'

function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../tests/vectors/${name}.json`, import.meta.url), 'utf8')) as T
}

interface Codec {
  bodies: {name: string; body: string; digest: string}[]
  records: {record: string; digest: string}[]
  payloads: {header: string; payload: string; json: string}[]
  refused: {header: string; payload: string; error: string}[]
}

const codec = vectors<Codec>('codec')

test('a partition is what the page says', () => {
  const [{partitions}] = vectors<[{partitions: Record<string, [number, number]>}]>('commands')
  for (const [key, [count, wanted]] of Object.entries(partitions)) {
    assert.equal(partitionOf(key, count), wanted)
  }
})

test('a command has the bytes and the message id of the page', () => {
  const [, {bytes, message_id}] = vectors<[unknown, {bytes: string; message_id: string}]>('commands')
  const told = JSON.parse(bytes) as Partial<Envelope>
  const rest = {version: 1, lane: 'medium', correlationId: '', traceparent: '', deadline: 0} as const
  const envelope = {...rest, ...told} as Envelope
  const {payload, headers} = encodeEnvelope(envelope, 'json', 1_000_000)
  assert.equal(new TextDecoder().decode(payload), bytes)
  assert.deepEqual(headers, {})
  assert.equal(messageId(envelope), message_id)
})

test('bodies have the digests that Python gives them, whatever the order of their keys', () => {
  for (const {name, body, digest} of codec.bodies) {
    assert.equal(bodyDigest(name, parseJson(body, 'bigint')), digest, body)
  }
})

test('records have the digests that are written beside them', () => {
  for (const {record, digest} of codec.records) {
    assert.equal(recordDigest(new TextEncoder().encode(record)), digest)
  }
})

test('payloads are read in each encoding, compressed or not', () => {
  for (const {header, payload, json} of codec.payloads) {
    assert.deepEqual(decode(Buffer.from(payload, 'base64'), header, 'refuse'), JSON.parse(json))
  }
})

test('payloads that make no sense are refused by the class of error that Python raises', () => {
  for (const {header, payload, error} of codec.refused) {
    const raised = (): unknown => decode(Buffer.from(payload, 'base64'), header, 'refuse')
    assert.throws(raised, (e: unknown) => e instanceof MoonletError && e.name === error, header)
  }
})

test('what is written as JSON or MessagePack is read back', () => {
  for (const {body} of codec.bodies) {
    const value = parseJson(body.replace('-0,', ''), 'bigint')
    assert.deepEqual(parseJson(stringifyJson(value), 'bigint'), value)
    assert.deepEqual(unpacked(packed(value), 'bigint'), value)
  }
})
