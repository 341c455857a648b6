import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { systemClock } from '../../src/core/clock.ts'
import { eq, everything } from '../../src/core/predicate.ts'
import { type ControlledInstance, findObjects, parseInstances } from '../../src/domain/media-object.ts'
import { createDiskStore } from '../../src/storage/disk/index.ts'
import type { MediaStore } from '../../src/storage/media.ts'
import { createS3Store } from '../../src/storage/s3/index.ts'
import type { Row, TableName } from '../../src/storage/schema.ts'
import { openSqliteTables } from '../../src/storage/sqlite/index.ts'
import type { Tables } from '../../src/storage/tables.ts'
import { isHalfMigrated, type MigrationDeps, releaseSource, runMigration } from '../../src/workers/migration/index.ts'
import { objectCopyWorker } from '../../src/workers/object-copies.ts'
import { type StubS3, stubS3 } from '../storage/s3/stub-server.ts'
import { openApp, primaryStorage, secondaryStorage, type TestApp } from '../support/app.ts'
import { inconsistencies, strayBytes } from '../support/consistency.ts'
import { engineUnderTest } from '../support/engines.ts'
import { faultyTables } from '../support/faulty-tables.ts'
import {
  allocateOne,
  createFlow,
  expectStatus,
  external,
  postSegment,
  readFlow,
  register,
  seconds,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'
import { runUntilIdle } from '../support/workers.ts'

const newStorage = '7d0f2c1e-93aa-4c1c-8a35-1f6e0f6b8d11'
let app: TestApp
let folder: string
/** As the command line opens it: it may write though the store is frozen. */
let source: Tables
let target: Tables
let s3: StubS3
let to: MediaStore
beforeEach(async () => {
  app = await openApp()
  folder = await mkdtemp(path.join(tmpdir(), 'tams-migration-'))
  source = await openSqliteTables({ file: path.join(app.directory, 'tams.sqlite'), clock: app.clock, maintenance: true, checkLocks: true })
  target = await openSqliteTables({ file: path.join(folder, 'target.sqlite'), checkLocks: true, clock: app.clock })
  s3 = await stubS3()
  to = await createS3Store({
    ...{ endpoint: s3.endpoint, bucket: 'media', region: 'us-east-1', pathStyle: true, accessKeyId: 'key', secretAccessKey: 'secret' },
    ...{ storageId: newStorage, clock: systemClock(), maxAttempts: 1, sleep: async () => {} },
  })
})
afterEach(async () => {
  await source.close()
  await app.close()
  await target.close()
  s3.close()
  await rm(folder, { recursive: true })
})

const from = (): MediaStore => {
  const store = app.deps.backends[0]?.store
  if (!store) throw new Error('no backend')
  return store
}
const deps = (over: Partial<MigrationDeps> = {}): MigrationDeps => ({
  ...{ source, target, move: { from: from(), to }, clock: app.clock },
  ...over,
})

const upload = async (flow: string, timerange: string, text: string, id?: string) => {
  const { object_id, put_url } = await allocateOne(app, flow, id === undefined ? { limit: 1 } : { object_ids: [id] })
  const headers = { 'content-type': 'video/mp2t', ...put_url.headers }
  expect((await app.fetch(put_url.url, { method: 'PUT', body: text, headers })).status).toBe(200)
  expectStatus(await postSegment(app, flow, { object_id, timerange }), 201)
  return object_id
}
/** Some of everything that a store has. */
const fill = async () => {
  const { id: flow } = await createFlow(app, videoFlow({ tags: { site: ['a', 'b'], none: [] }, label: 'Löwe \u{1f3ac}' }))
  const uploaded = [await upload(flow, '[0:0_1:0)', 'first'), await upload(flow, '[1:0_2:0)', 'second')]
  await register(app, flow, ...seconds(20, 10))
  const { id: other } = await createFlow(app)
  await createFlow(app, {
    id: uuid(),
    source_id: uuid(),
    format: 'urn:x-nmos:format:multi',
    flow_collection: [{ id: flow, role: 'video' }],
  })
  expectStatus(await postSegment(app, other, { object_id: uploaded[0], timerange: '[5:0_6:0)', ts_offset: '5:0' }), 201)
  await postSegment(app, other, external('[7:0_8:0)'))
  expectStatus(await app.post('/service', { name: 'ours' }), 200)
  expectStatus(await app.delete(`/flows/${other}/segments?timerange=${encodeURIComponent('[7:0_8:0)')}`), 204)
  await allocateOne(app, flow)
  return { flow, other, uploaded }
}
const dump = async <N extends TableName>(tables: Tables, table: N): Promise<readonly Row<N>[]> =>
  (await tables.read((tx) => tx.list<N>(table, { where: everything, limit: 10_000 }))).rows
const textIn = async (store: MediaStore, key: string) => new Response((await store.get(key))?.body ?? null).text()
const instancesOf = async (tables: Tables, id: string) => {
  const row = (await tables.read((tx) => findObjects(tx, [id]))).get(id)
  return row ? (parseInstances(row) as ControlledInstance[]) : []
}

// The source is the embedded store, whatever the other suites run on.
const onSqlite = engineUnderTest() === 'sqlite'

describe.if(onSqlite)('a migration', () => {
  test('brings every row and every byte to the target, which is in order', async () => {
    const { uploaded } = await fill()
    const { media, tables } = await runMigration(deps())
    expect(media).toMatchObject({ copied: 2, bytes: 11 })
    for (const name of ['flows', 'sources', 'segments', 'tags', 'collections', 'object_refs', 'audit', 'event_log'] as const)
      expect([name, await dump(target, name)]).toEqual([name, await dump(app.deps.tables, name)])
    expect(tables.every(({ expected, found }) => expected === found)).toBe(true)
    expect(tables.find(({ table }) => table === 'segments')?.rows).toBeGreaterThan(20)
    expect(await inconsistencies(target)).toEqual([])
    expect(await strayBytes(target, [{ info: { id: newStorage } as never, store: to }])).toEqual([])
    for (const [index, text] of ['first', 'second'].entries()) {
      const [instance] = await instancesOf(target, uploaded[index] ?? '')
      expect(instance).toMatchObject({ storage_id: newStorage, status: 'ready' })
      expect(await textIn(to, instance?.key ?? '')).toBe(text)
    }
    expect((await target.read((tx) => tx.find('meta', ['service'])))?.value).toContain('ours')
    expect(await dump(target, 'leases')).toHaveLength(1)
  })

  test('leaves the source readable and closed to changes, uploads too, until it is released', async () => {
    const { flow } = await fill()
    const { put_url } = await allocateOne(app, flow)
    await runMigration(deps())
    expect(await readFlow(app, flow)).toMatchObject({ id: flow })
    const write = await app.fetch(`/flows/${flow}/label`, { method: 'PUT', body: '"x"', headers: { 'content-type': 'application/json' } })
    expect([write.status, write.headers.has('retry-after')]).toEqual([503, true])
    expect(await write.text()).toContain('moved')
    const headers = { 'content-type': 'video/mp2t', ...put_url.headers }
    expect((await app.fetch(put_url.url, { method: 'PUT', body: 'x', headers })).status).toBe(503)
    await releaseSource(source)
    expectStatus(await app.put(`/flows/${flow}/label`, 'x'), 204)
    await expect(runMigration(deps())).rejects.toMatchObject({ code: 'conflict' })
  })

  test('numbers events behind those that were there, also when the log was emptied', async () => {
    await fill()
    const { tables } = app.deps
    const last = (await dump(tables, 'event_log')).at(-1)?.seq ?? 0n
    await tables.write(async (tx) => {
      await tx.put('webhook_cursors', [{ webhook_id: uuid(), position: last, attempts: 0, next_attempt: 0n }])
      await tx.delete('event_log', everything)
    })
    await runMigration(deps())
    await target.write((tx) => tx.append([{ time: 1n, type: 'flows/created', flow_id: null, source_id: null, body: '{}' }]))
    expect((await target.read((tx) => tx.readLog(last, 10))).map(({ seq }) => seq)).toEqual([last + 1n])
    expect(await target.read((tx) => tx.readLog(0n, 10))).toHaveLength(1)
  })

  test('gives objects whose key S3 cannot hold another one', async () => {
    const { id: flow } = await createFlow(app)
    await upload(flow, '[0:0_1:0)', 'odd', 'a/../b')
    await runMigration(deps())
    const [instance] = await instancesOf(target, 'a/../b')
    expect(instance?.key).toMatch(/^moved\/[0-9a-f]{64}$/)
    expect(await textIn(to, instance?.key ?? '')).toBe('odd')
    expect(await inconsistencies(target)).toEqual([])
  })

  test('to where a copy lies already keeps that copy, and takes other backends as they are', async () => {
    const { id: flow } = await createFlow(app)
    const id = await upload(flow, '[0:0_1:0)', 'twice')
    expectStatus(await app.post(`/objects/${id}/instances`, { storage_id: secondaryStorage }), 201)
    await runUntilIdle(app.deps, objectCopyWorker(app.deps))
    const second = app.deps.backends[1]?.store
    if (!second) throw new Error('no backend')
    await runMigration(deps({ move: { from: from(), to: second } }))
    expect(await instancesOf(target, id)).toMatchObject([{ storage_id: secondaryStorage, status: 'ready' }])
    expect(await dump(target, 'object_instances')).toHaveLength(1)
    expect(await inconsistencies(target)).toEqual([])
  })

  test('with a copy into the new backend still to be made gives that up and keeps the bytes', async () => {
    const { id: flow } = await createFlow(app)
    const id = await upload(flow, '[0:0_1:0)', 'once')
    expectStatus(await app.post(`/objects/${id}/instances`, { storage_id: secondaryStorage }), 201)
    const second = app.deps.backends[1]?.store
    if (!second) throw new Error('no backend')
    await runMigration(deps({ move: { from: from(), to: second } }))
    const [instance, ...others] = await instancesOf(target, id)
    expect([instance?.status, others]).toEqual(['ready', []])
    expect(await dump(target, 'media_copies')).toEqual([])
    expect(await textIn(second, instance?.key ?? '')).toBe('once')
    expect(await inconsistencies(target)).toEqual([])
  })

  test('of the metadata alone leaves the bytes where they are', async () => {
    const { uploaded } = await fill()
    await runMigration(deps({ move: undefined }))
    expect(await instancesOf(target, uploaded[0] ?? '')).toMatchObject([{ storage_id: primaryStorage }])
    expect(await dump(target, 'objects')).toEqual(await dump(app.deps.tables, 'objects'))
  })

  test('from disk to disk works as well', async () => {
    const { uploaded } = await fill()
    const disk = await createDiskStore({
      root: path.join(folder, 'media'),
      storageId: newStorage,
      secret: 'x'.repeat(32),
      clock: app.clock,
    })
    await runMigration(deps({ move: { from: from(), to: disk } }))
    const [instance] = await instancesOf(target, uploaded[1] ?? '')
    expect(await textIn(disk, instance?.key ?? '')).toBe('second')
  })
})

describe.if(onSqlite)('changes of the source while it is copied', () => {
  /** Runs `change` when this step has begun for the first time. */
  const during = async (change: () => Promise<unknown>) => {
    let first = true
    const changing: MediaStore = {
      ...to,
      copyFrom: async (key, source, options) => {
        const copied = await to.copyFrom?.(key, source, options)
        if (!copied) throw new Error('the engine copies')
        if (first) {
          first = false
          await change()
        }
        return copied
      },
    }
    return runMigration(deps({ move: { from: from(), to: changing } }))
  }

  test('are brought over: new segments, changed flows, deletions', async () => {
    const { flow, other } = await fill()
    let late = ''
    await during(async () => {
      late = await upload(flow, '[100:0_101:0)', 'late')
      expectStatus(await app.put(`/flows/${flow}/label`, 'changed'), 204)
      expectStatus(await app.delete(`/flows/${other}`), 204)
    })
    expect(await dump(target, 'flows')).toEqual(await dump(app.deps.tables, 'flows'))
    const [instance] = await instancesOf(target, late)
    expect(await textIn(to, instance?.key ?? '')).toBe('late')
    expect(await inconsistencies(target)).toEqual([])
  })

  test('leave bytes of an object that went to the target’s own removals', async () => {
    const { flow } = await fill()
    await during(async () => expectStatus(await app.delete(`/flows/${flow}/segments`), 204))
    const removals = await dump(target, 'media_removals')
    const stored = (await Array.fromAsync(to.list({}), ({ key }) => key)).filter((key) => key.startsWith('tams/'))
    const recorded = await dump(target, 'object_instances')
    const accounted = new Set([...removals, ...recorded].map(({ media_key }) => media_key))
    expect(stored.filter((key) => !accounted.has(key))).toEqual([])
    expect(await inconsistencies(target)).toEqual([])
  })
})

describe.if(onSqlite)('a migration that breaks off', () => {
  test('goes on where it was: nothing is copied twice, and the target is not served before its end', async () => {
    await fill()
    let copies = 0
    const breaking: MediaStore = {
      ...to,
      copyFrom: (key, source, options) => {
        copies++
        return to.copyFrom?.(key, source, options) ?? Promise.reject(new Error('the engine copies'))
      },
    }
    const faulty = faultyTables(target)
    faulty.arm(12)
    await expect(runMigration(deps({ target: faulty.tables, move: { from: from(), to: breaking } }))).rejects.toThrow('injected')
    expect(await isHalfMigrated(target)).toBe(true)
    const before = copies
    await runMigration(deps({ move: { from: from(), to: breaking } }))
    expect([before, copies]).toEqual([2, 2])
    expect(await isHalfMigrated(target)).toBe(false)
    expect(await inconsistencies(target)).toEqual([])
  })

  test('at any write ends well when it is run again', async () => {
    await fill()
    for (let n = 1; ; n += 7) {
      const faulty = faultyTables(target)
      faulty.arm(n)
      const ended = await runMigration(deps({ target: faulty.tables })).then(
        () => true,
        () => false,
      )
      if (ended) break
    }
    expect(await inconsistencies(target)).toEqual([])
    expect(await dump(target, 'segments')).toEqual(await dump(app.deps.tables, 'segments'))
  }, 120_000)

  test('whose copy of an object differs says so and ends nothing', async () => {
    await fill()
    const corrupting: MediaStore = {
      ...to,
      copyFrom: async (key, source, options) => {
        await new Response(await source.open(0)).arrayBuffer()
        return to.put(key, new Blob([new Uint8Array(source.object.size)]).stream(), options)
      },
    }
    await expect(runMigration(deps({ move: { from: from(), to: corrupting } }))).rejects.toThrow('differs')
    expect(await isHalfMigrated(target)).toBe(true)
  })

  test('is refused into a store that holds something else, or another migration', async () => {
    await fill()
    await target.write(async (tx) => {
      await tx.lock([`profile:${profile.id}`])
      await tx.insert('profiles', [profile])
    })
    await expect(runMigration(deps())).rejects.toThrow('not empty')
    await target.write((tx) => tx.delete('profiles', eq('id', profile.id)))
    await target.write(async (tx) => {
      await tx.lock(['meta:migration'])
      await tx.put('meta', [{ name: 'migration', value: JSON.stringify({ source: 'another', state: 'copying' }) }])
    })
    await expect(runMigration(deps())).rejects.toThrow('another migration')
  })
})

const profile = {
  ...{
    id: uuid(),
    label: null,
    description: null,
    format: 'f',
    codec: 'c',
    tags: '{}',
    flow_metadata: '{}',
    created: 0n,
    created_by: null,
  },
}
