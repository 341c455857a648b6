import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { everything } from '../../src/core/predicate.ts'
import { type ControlledInstance, findObjects, parseInstances } from '../../src/domain/media-object.ts'
import type { ListedObject, MediaStore } from '../../src/storage/media.ts'
import { mediaRemovalWorker, removeQueuedMedia } from '../../src/workers/media-removals.ts'
import { objectCopyWorker } from '../../src/workers/object-copies.ts'
import { objectSizeWorker } from '../../src/workers/object-sizes.ts'
import { type Finding, noCounts, reconcile } from '../../src/workers/reconcile/index.ts'
import { object } from '../support/answers.ts'
import { openApp, primaryStorage, secondaryStorage, type TestApp } from '../support/app.ts'
import { inconsistencies } from '../support/consistency.ts'
import { allocate, allocateOne, createFlow, expectStatus, postSegment } from '../support/fixtures.ts'
import { runUntilIdle, takeLease } from '../support/workers.ts'

let app: TestApp
beforeEach(async () => {
  app = await openApp({ settings: { softDeleteDefault: false } })
})
afterEach(async () => {
  expect(await inconsistencies(app.deps.tables)).toEqual([])
  await app.close()
})

const HOUR = 3600
const DAY = 24 * HOUR
/** A day that is long over by the clock of the tests. */
const formerDay = 'tams/2025/12/31'

const primary = (change: (store: MediaStore) => Partial<MediaStore> = () => ({})) => {
  const [backend] = app.deps.backends
  if (!backend) throw new Error('no backend')
  return { info: backend.info, store: { ...backend.store, ...change(backend.store) } }
}
const run = async (repair = false, backend = primary()) => {
  const counts = noCounts()
  const options = { repair, minAge: HOUR, storagePath: 'tams' }
  const findings = await Array.fromAsync(reconcile(app.deps, backend, options, counts))
  return { findings, counts }
}
const kinds = (findings: readonly Finding[]) => findings.map(({ kind, key, repaired }) => [kind, key, repaired])
const plant = (key: string, text = 'stray') => primary().store.put(key, new Blob([text]).stream(), { contentType: 'video/mp2t' })
const keys = async () => Array.fromAsync(primary().store.list({}), ({ key }) => key)

const registered = async (bytes = 10) => {
  const { id: flow } = await createFlow(app)
  const { object_id, put_url } = await allocateOne(app, flow)
  const headers = { 'content-type': 'video/mp2t', ...put_url.headers }
  expect((await app.fetch(put_url.url, { method: 'PUT', body: new Uint8Array(bytes), headers })).status).toBe(200)
  expectStatus(await postSegment(app, flow, { object_id, timerange: '[0:0_1:0)' }), 201)
  await runUntilIdle(app.deps, objectSizeWorker(app.deps))
  return { flow, id: object_id, key: await keyOf(object_id) }
}
const instancesOf = async (id: string) => {
  const row = (await app.deps.tables.read((tx) => findObjects(tx, [id]))).get(id)
  return row ? (parseInstances(row) as ControlledInstance[]) : []
}
const keyOf = async (id: string) => (await instancesOf(id))[0]?.key ?? ''
const labelsOf = async (id: string) =>
  (object(await app.request('GET', `/objects/${id}`, { head: false })).get_urls as { label: string }[]).map(({ label }) => label)

test('a store in order has no findings, however many pages it fills', async () => {
  const { id: flow } = await createFlow(app)
  for (let round = 0; round < 3; round++) await allocate(app, flow, { limit: 400 })
  await app.deps.tables.write((tx) => tx.update('object_instances', everything, { size: 5n }))
  const listed = await indexed()
  const inOrder = primary(() => ({
    list: async function* () {
      for (const key of listed) yield { key, size: 5, etag: '"x"', modifiedUs: 0n }
    },
  }))
  const { findings, counts } = await run(false, inOrder)
  expect(findings).toEqual([])
  expect(counts).toEqual({ listed: 1200, records: 1200, foreign: 0, young: 0 })
})

const indexed = async () => {
  const { rows } = await app.deps.tables.read((tx) => tx.list('object_instances', { where: everything, limit: 5000 }))
  return rows.map((row) => row.media_key)
}

describe('bytes without a record', () => {
  test('are reported, and left alone without --repair', async () => {
    await plant(`${formerDay}/stray`)
    app.clock.advance(2 * HOUR)
    expect((await run()).findings).toEqual([{ storage_id: primaryStorage, kind: 'unrecorded', key: `${formerDay}/stray`, size: 5 }])
    expect(await keys()).toEqual([`${formerDay}/stray`])
  })

  test('are removed by the worker for removals, and by the command alone where no service is there', async () => {
    const { key } = await registered()
    await plant(`${formerDay}/stray`)
    app.clock.advance(2 * HOUR)
    expect(kinds((await run(true)).findings)).toEqual([['unrecorded', `${formerDay}/stray`, 'removal_queued']])
    // Queued, it is no finding any more.
    expect((await run(true)).findings).toEqual([])
    const service = await takeLease(app.deps.tables, app.clock, 'media-removals', 'a service')
    await removeQueuedMedia(app.deps)
    expect(await keys()).toHaveLength(2)
    app.clock.advance(60)
    await removeQueuedMedia(app.deps)
    expect(await keys()).toEqual([key])
    expect(service.holder).toBe('a service')
  })

  test('that are young, or whose key a new object could get today, are left alone', async () => {
    await plant(`${formerDay}/old`)
    await plant('tams/2026/01/02/of today')
    app.clock.advance(2 * HOUR)
    await plant(`${formerDay}/young`)
    const { findings, counts } = await run(true)
    expect(kinds(findings)).toEqual([['unrecorded', `${formerDay}/old`, 'removal_queued']])
    expect(counts.young).toBe(2)
    app.clock.advance(DAY)
    expect((await run(true)).findings.map(({ key }) => key)).toEqual([`${formerDay}/young`, 'tams/2026/01/02/of today'])
  })

  test('outside the storage path are somebody else’s', async () => {
    await plant('elsewhere/2025/12/31/x')
    await plant('tamsx')
    app.clock.advance(2 * DAY)
    const { findings, counts } = await run(true)
    expect([findings, counts.foreign]).toEqual([[], 2])
  })

  test('that are recorded between the two looks are none', async () => {
    let made: Awaited<ReturnType<typeof registered>> | undefined
    const late = primary((store) => ({
      // The listing comes when the index has been read: an object is made in between.
      list: async function* () {
        yield* [] as ListedObject[]
        made = await registered()
        app.clock.advance(2 * DAY)
        for await (const each of store.list({})) yield each
      },
    }))
    const { findings } = await run(true, late)
    expect(findings).toEqual([])
    expect(await labelsOf(made?.id ?? '')).toEqual(['primary'])
  })

  test('that are being removed or copied are none', async () => {
    const { flow, key } = await registered()
    const other = await registered()
    expectStatus(await app.post(`/objects/${other.id}/instances`, { storage_id: secondaryStorage }), 201)
    expectStatus(await app.delete(`/flows/${flow}/segments`), 204)
    app.clock.advance(2 * DAY)
    expect(await keys()).toContain(key)
    expect((await run(true)).findings).toEqual([])
    await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
    await runUntilIdle(app.deps, objectCopyWorker(app.deps))
    expect((await run(true)).findings).toEqual([])
  })

  test('that a worker removes between the looks are none', async () => {
    const { flow } = await registered()
    app.clock.advance(2 * DAY)
    let looks = 0
    const late = primary((store) => ({
      list: async function* () {
        const listed = await Array.fromAsync(store.list({}))
        expectStatus(await app.delete(`/flows/${flow}/segments`), 204)
        yield* listed
      },
      head: async (key) => {
        const found = await store.head(key)
        if (looks++ === 0) await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
        return found
      },
    }))
    expect((await run(true, late)).findings).toEqual([])
    expect(looks).toBe(2)
  })
})

describe('a record without its bytes', () => {
  test('is reported, marked by --repair so that no URL leads there, and shown again when the bytes are back', async () => {
    const { id, key } = await registered()
    await primary().store.delete([key])
    app.clock.advance(2 * HOUR)
    expect((await run()).findings).toMatchObject([{ kind: 'missing', key, object_id: id, recorded_size: 10 }])
    expect(await labelsOf(id)).toEqual(['primary'])
    expect(kinds((await run(true)).findings)).toEqual([['missing', key, 'marked_missing']])
    expect(await labelsOf(id)).toEqual([])
    expect((await run(true)).findings).toMatchObject([{ kind: 'missing', marked: true }])
    await plant(key, 'they are back')
    expect(kinds((await run(true)).findings)).toEqual([['found_again', key, 'marked_ready']])
    expect(await labelsOf(id)).toEqual(['primary'])
    expect(await instancesOf(id)).toMatchObject([{ status: 'ready', size: 13 }])
    expect((await run(true)).findings).toEqual([])
  })

  test('is none while its upload may still come, or before its first segment', async () => {
    const { id: flow } = await createFlow(app)
    const [place] = await allocate(app, flow, { limit: 2 })
    expectStatus(await postSegment(app, flow, { object_id: place?.object_id, timerange: '[0:0_1:0)' }), 201)
    app.clock.advance(HOUR - 60)
    const early = await run(true)
    expect([early.findings, early.counts.young]).toEqual([[], 1])
    app.clock.advance(120)
    // The other one is allocated still: the sweep looks after it.
    expect((await run()).findings).toMatchObject([{ kind: 'missing', object_id: place?.object_id }])
  })

  test('is none when the object is deleted meanwhile', async () => {
    const { flow, key } = await registered()
    app.clock.advance(2 * HOUR)
    const late = primary((store) => ({
      list: async function* () {
        yield* [] as ListedObject[]
      },
      head: async (each) => {
        await store.delete([each])
        expectStatus(await app.delete(`/flows/${flow}/segments`), 204)
        return store.head(each)
      },
    }))
    expect((await run(true, late)).findings).toEqual([])
    expect(await keys()).not.toContain(key)
  })

  test('leaves the other instances of its object as they are', async () => {
    const { id, key } = await registered()
    expectStatus(await app.post(`/objects/${id}/instances`, { storage_id: secondaryStorage }), 201)
    await runUntilIdle(app.deps, objectCopyWorker(app.deps))
    await primary().store.delete([key])
    app.clock.advance(2 * HOUR)
    await run(true)
    expect(await labelsOf(id)).toEqual(['secondary'])
  })
})

test('wrong and unknown sizes are found and corrected', async () => {
  const [wrong, unknown] = [await registered(), await registered()]
  const tables = app.deps.tables
  await tables.write(async (tx) => {
    await tx.update('object_instances', { kind: 'compare', column: 'media_key', op: '=', value: wrong.key }, { size: 3n })
    await tx.update('object_instances', { kind: 'compare', column: 'media_key', op: '=', value: unknown.key }, { size: null })
  })
  app.clock.advance(2 * HOUR)
  const { findings } = await run(true)
  expect(kinds(findings).sort()).toEqual(
    [
      ['size_differs', wrong.key, 'size_corrected'],
      ['size_unknown', unknown.key, 'size_corrected'],
    ].sort(),
  )
  expect((await run()).findings).toEqual([])
})

test('a repair is in the audit trail', async () => {
  const { id, key } = await registered()
  await primary().store.delete([key])
  app.clock.advance(2 * HOUR)
  await run(true)
  const { rows } = await app.deps.tables.read((tx) => tx.list('audit', { where: everything, limit: 100 }))
  expect(rows.at(-1)).toMatchObject({ action: 'media.reconcile.marked_missing', entity_id: id, principal: 'tams reconcile' })
})

test('beside a service in full use nothing of it is found or touched', async () => {
  let busy = true
  const traffic = async () => {
    while (busy) {
      const { flow } = await registered(3)
      expectStatus(await app.delete(`/flows/${flow}/segments`), 204)
      await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
    }
  }
  const kept = [await registered(), await registered()]
  const running = traffic()
  for (let round = 0; round < 10; round++) {
    const { findings } = await run(true)
    expect(findings).toEqual([])
  }
  busy = false
  await running
  for (const { id } of kept) expect(await labelsOf(id)).toEqual(['primary'])
}, 120_000)
