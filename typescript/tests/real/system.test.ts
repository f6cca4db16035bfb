/** Against a real host and server, by TCP and by WebSocket. */

import assert from 'node:assert/strict'
import {after, before, describe, test} from 'node:test'
import {firstValueFrom, take, toArray} from 'rxjs'
import {
  type Commit,
  connect,
  Conflict,
  Expired,
  Invalid,
  InvalidId,
  InvalidMessage,
  message,
  type Moonlet,
  NoHost,
  PayloadTooLarge,
  Rejected,
  Unavailable,
  Unknown,
  UnknownAgentType,
  UnknownCommand,
} from '../../src/node.ts'
import {history$} from '../../src/rxjs.ts'
import {Announce, Deposit, Fail, Fill, GetBalance, told} from '../accounts.ts'

const prefix = told('MOONLET_PREFIX')

async function all(history: AsyncIterable<Commit>): Promise<Commit[]> {
  const commits: Commit[] = []
  for await (const commit of history) commits.push(commit)
  return commits
}

for (const [way, url] of [
  ['tcp', told('MOONLET_TCP')],
  ['ws', told('MOONLET_WS')],
] as const) {
  describe(way, {concurrency: true, timeout: 60_000}, () => {
    let moon: Moonlet
    const agent = (name: string): `account/${string}` => `account/${way}-${name}`

    before(async () => {
      moon = await connect(url, {prefix})
    })
    after(() => moon.close())

    test('ask gives the reply, and a refusal its reason', async () => {
      const balance: number = await moon.ask(agent('ask'), Deposit({amount: 5}))
      assert.equal(balance, 5)
      assert.equal(await moon.ask(agent('ask'), Deposit({amount: 2})), 7)
      const refused = moon.ask(agent('ask'), Deposit({amount: 0}))
      await assert.rejects(refused, (e: unknown) => e instanceof Rejected && /positive/.test(e.reason))
      const parked = moon.ask(agent('ask'), Fail({text: 'as asked'}))
      await assert.rejects(parked, (e: unknown) => e instanceof Rejected && /^parked: /.test(e.message))
    })

    test('tell is durable, and its receipt finds the commit', async () => {
      const receipt = await moon.tell(agent('tell'), Deposit({amount: 3}))
      const commit = await receipt.committed()
      assert.equal(commit.command.id, receipt.id)
      assert.deepEqual([commit.outcome, commit.revision, commit.reply], ['accepted', 1, 3])
      assert.deepEqual(commit.events, [{name: 'Deposited', version: 1, body: {amount: 3}}])
      assert.deepEqual(await receipt.committed(), commit)
    })

    test('a query sees what this client has caused', async () => {
      for (let amount = 1; amount <= 5; amount++) {
        await (await moon.tell(agent('query'), Deposit({amount}))).committed()
        const balance: number = await moon.query(agent('query'), GetBalance())
        assert.equal(balance, (amount * (amount + 1)) / 2)
      }
    })

    test('the same id counts once, and is a conflict with another command', async () => {
      const id = `${way}-once`
      for (let i = 0; i < 3; i++) {
        assert.equal(await moon.ask(agent('once'), Deposit({amount: 4}), {id}), 4)
      }
      await assert.rejects(moon.ask(agent('once'), Deposit({amount: 5}), {id}), Conflict)
      assert.equal(await moon.query(agent('once'), GetBalance()), 4)
    })

    test('commands of many callers at once are counted once each, in order of lanes', async () => {
      const asks = Array.from({length: 300}, () => moon.ask(agent('many'), Deposit({amount: 1})))
      const replies = await Promise.all(asks)
      assert.deepEqual(replies, Array.from({length: 300}, (_, i) => i + 1))
      const history = await all(moon.history(agent('many')))
      assert.deepEqual(history.map((c) => c.command.number), replies)
      assert.deepEqual((await all(moon.history(agent('many'), {from: 10, to: 12}))).map((c) => c.revision), [10, 11, 12])
    })

    test('more than 1,024 tells at once wait for their turn, and all are stored', async () => {
      const tells = Array.from({length: 1_500}, () => moon.tell(agent('window'), Deposit({amount: 1})))
      const receipts = await Promise.all(tells)
      await receipts.at(-1)?.committed({timeout: 30_000})
      assert.equal(await moon.query(agent('window'), GetBalance()), 1_500)
    })

    test('a history is followed live, also as an Observable', async () => {
      const seen = firstValueFrom(history$(moon, agent('live'), {follow: true}).pipe(take(3), toArray()))
      for (let i = 0; i < 3; i++) await moon.ask(agent('live'), Deposit({amount: 1}))
      assert.deepEqual((await seen).map((commit) => commit.revision), [1, 2, 3])
      const stop = new AbortController()
      const rest = all(moon.history(agent('live'), {follow: true, signal: stop.signal}))
      stop.abort()
      assert.ok((await rest).length <= 3)
    })

    test('a topic is read from its beginning, or on from where one was', async () => {
      const topic = `news.${way}`
      for (const text of ['a', 'b', 'c']) {
        await moon.ask(agent('topic'), Announce({topic, text}))
      }
      const got: [number, unknown][] = []
      for await (const each of moon.subscribe(topic, {from: 'all'})) {
        got.push([each.sequence, each.body])
        if (got.length === 3) break
      }
      assert.deepEqual(got.map(([, body]) => (body as {text: string}).text ?? body), ['a', 'b', 'c'])
      const [first] = got[0] ?? [0]
      for await (const each of moon.subscribe(topic, {from: {after: first}})) {
        assert.equal(each.sequence, got[1]?.[0])
        break
      }
    })

    test('large outcomes are read, compressed or in chunks', async () => {
      for (const [events, size] of [
        [4, 20_000],
        [12, 200_000],
      ] as const) {
        await moon.ask(agent('large'), Fill({events, size}), {timeout: 20_000})
      }
      const commits = await all(moon.history(agent('large')))
      assert.deepEqual(commits.map((commit) => commit.events.length), [4, 12])
    })

    test('MessagePack says the same', async () => {
      await using packed = await connect(url, {prefix, encoding: 'msgpack'})
      assert.equal(await packed.ask(agent('packed'), Deposit({amount: 5})), 5)
      await (await packed.tell(agent('packed'), Deposit({amount: 6}), {lane: 'high'})).committed()
      assert.equal(await packed.query(agent('packed'), GetBalance()), 11)
      const commits = await all(moon.history(agent('packed')))
      assert.deepEqual(commits.map((commit) => commit.command.body), [{amount: 5}, {amount: 6}])
    })

    test('mistakes are told in our words, and store nothing', async () => {
      const odd = agent('odd')
      await assert.rejects(moon.ask('nobody/here', {name: 'Deposit', body: {}}), UnknownAgentType)
      await assert.rejects(moon.ask('nobody' as never, Deposit({amount: 1})), InvalidId)
      await assert.rejects(moon.ask(odd, message('Nothing')()), UnknownCommand)
      await assert.rejects(moon.ask(odd, {name: 'Deposit', body: {amount: 'x'}}), InvalidMessage)
      await assert.rejects(moon.ask(odd, {name: 'Deposit', body: {amount: Number.NaN}}), InvalidMessage)
      await assert.rejects(moon.query(odd, message('Nothing')()), UnknownCommand)
      const long = {name: 'Fail', body: {text: 'x'.repeat(1_100_000)}}
      await assert.rejects(moon.tell(odd, long), PayloadTooLarge)
      await assert.rejects(moon.ask(odd, Deposit({amount: 1}), {deadline: new Date(0)}), Expired)
      await assert.rejects(moon.ask(odd, Deposit({amount: 1}), {timeout: 0}), Invalid)
      await assert.rejects(moon.ask(odd, Deposit({amount: 1}), {id: 'a b'}), InvalidId)
      await assert.rejects(moon.ask(odd, Deposit({amount: 1}), {lane: 'x' as 'low'}), InvalidId)
    })

    test('where nobody runs an agent, a command is stored and a query finds no host', async () => {
      const nobody = `idle/${way}` as const
      const asked = moon.ask(nobody, Deposit({amount: 1}) as never, {timeout: 1_500})
      await assert.rejects(asked, (e: unknown) => e instanceof Unknown && e.stored === 'yes')
      await assert.rejects(moon.query(nobody, GetBalance() as never, {timeout: 500}), NoHost)
    })

    test('a client that was closed says so', async () => {
      const closed = await connect(url, {prefix})
      const waiting = closed.ask(`idle/${way}-closed`, {name: 'Deposit', body: {amount: 1}}, {timeout: 60_000})
      const ends = assert.rejects(waiting, Unavailable)
      await closed.tell(agent('closed'), Deposit({amount: 1}))
      await closed.close()
      await ends
      await assert.rejects(closed.ask(agent('closed'), Deposit({amount: 1})), Unavailable)
    })
  })
}

test('a server that is not there is named', async () => {
  await assert.rejects(connect('nats://127.0.0.1:1', {prefix}), /127\.0\.0\.1:1/)
})
