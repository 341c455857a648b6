import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Field, Utf8 } from 'apache-arrow'
import type { VastConfig } from '../src/config.ts'
import { systemClock } from '../src/core/clock.ts'
import { connectVast, openVast } from '../src/open-vast.ts'
import { VastClient } from '../src/vastdb/index.ts'
import { type Emulator, startEmulator } from './emulators/vast/index.ts'
import { failing, ok, startScriptedServer } from './vastdb/support/scripted-server.ts'

let emulator: Emulator
beforeAll(async () => {
  emulator = await startEmulator({ buckets: ['b'] })
})
afterAll(() => emulator.close())

const vast = (changes: Partial<VastConfig> = {}): VastConfig => ({
  endpoints: [emulator.url],
  accessKey: 'test',
  secretKey: 'test',
  bucket: 'b',
  schema: 'tams',
  sslVerify: true,
  timeoutMs: 2000,
  singleWriter: false,
  enableProjections: undefined,
  ...changes,
})

const messageOf = (opening: Promise<unknown>): Promise<string> =>
  opening.then(
    () => 'opened',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )

describe('a cluster that cannot be used', () => {
  test('because it refuses the keys: they are named, not told', async () => {
    const message = await messageOf(connectVast(vast({ secretKey: 'wrong-and-secret' })))
    expect(message).toStartWith('VAST_ACCESS_KEY, VAST_SECRET_KEY: the cluster refuses them for the bucket b.')
    expect(message).not.toContain('wrong-and-secret')
  })

  test('because the bucket is not there', async () => {
    expect(await messageOf(connectVast(vast({ bucket: 'other' })))).toStartWith('VAST_BUCKET: the cluster has no bucket other.')
  })

  test('because nobody listens', async () => {
    const gone = await startScriptedServer()
    await gone.close()
    expect(await messageOf(connectVast(vast({ endpoints: [gone.url] })))).toStartWith(`VAST_ENDPOINT: no connection to ${gone.url}.`)
  })

  test.each([
    ['is no VAST', 'nginx'],
    ['is too old to tell its version', 'vast'],
  ])('because what answers %s', async (_, server) => {
    const other = await startScriptedServer([ok('', { server }), ok('', { server })])
    expect(await messageOf(connectVast(vast({ endpoints: [other.url] })))).toStartWith(
      `VAST_ENDPOINT: what answers at ${other.url} is no VAST cluster`,
    )
    await other.close()
  })

  test('because it does not answer in time', async () => {
    const slow = await startScriptedServer([() => undefined])
    expect(await messageOf(connectVast(vast({ endpoints: [slow.url], timeoutMs: 50 })))).toStartWith(
      `VAST_ENDPOINT: no answer from ${slow.url} in 50 ms (VAST_TIMEOUT)`,
    )
    await slow.close()
  })

  test('because a proxy answers in its place', async () => {
    const proxy = await startScriptedServer([failing(502, 'BadGateway')])
    expect(await messageOf(connectVast(vast({ endpoints: [proxy.url] })))).toStartWith('VAST_ENDPOINT: something else than a VAST cluster')
    await proxy.close()
  })
})

test('one endpoint that answers is enough', async () => {
  const gone = await startScriptedServer()
  await gone.close()
  const client = await connectVast(vast({ endpoints: [gone.url, emulator.url] }))
  expect(client.health().find(({ url }) => url === gone.url)).toMatchObject({ failures: expect.any(Number) })
  client.close()
})

describe('opening the tables', () => {
  test('makes them, and tells how each endpoint is doing', async () => {
    const tables = await openVast(vast({ schema: 'made/here' }), systemClock())
    expect(await tables.read((tx) => tx.find('meta', ['schema_version']))).toBeDefined()
    expect(tables.health()).toMatchObject([{ url: emulator.url, state: 'up', failures: 0 }])
    await tables.close()
  })

  test('beside tables of somebody else is refused, naming them', async () => {
    const { endpoints, ...keys } = vast()
    const client = await VastClient.connect({ endpoints, ...keys })
    await client.database.createSchema('shared')
    for (const table of ['ledger', 'customers'])
      await client.database.createTable({ schema: 'shared', table }, [new Field('a', new Utf8(), true)])
    client.close()
    const message = await messageOf(openVast(vast({ schema: 'shared' }), systemClock()))
    expect(message).toContain('VAST_SCHEMA: shared holds tables that are not ours: customers, ledger')
  })

  test('on an old cluster says what it has to be', async () => {
    const old = await startEmulator({ buckets: ['b'], version: '5.0.0.1' })
    expect(await messageOf(openVast(vast({ endpoints: [old.url] }), systemClock()))).toStartWith(
      'VAST_ENDPOINT: the cluster is too old. Upgrade it to 5.1',
    )
    await old.close()
  })
})
