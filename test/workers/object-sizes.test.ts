import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { everything } from '../../src/core/predicate.ts'
import { type ControlledInstance, findObjects, parseInstances } from '../../src/domain/media-object.ts'
import type { MediaStore } from '../../src/storage/media.ts'
import { mediaRemovalWorker } from '../../src/workers/media-removals.ts'
import { objectCopyWorker } from '../../src/workers/object-copies.ts'
import { objectSizeWorker } from '../../src/workers/object-sizes.ts'
import { openApp, primaryStorage, secondaryStorage, type TestApp } from '../support/app.ts'
import { inconsistencies } from '../support/consistency.ts'
import { type Allocated, allocate, createFlow, expectStatus, postSegment, videoFlow } from '../support/fixtures.ts'
import { runUntilIdle, step, takeLease } from '../support/workers.ts'

let app: TestApp
beforeEach(async () => {
  app = await openApp({ settings: { softDeleteDefault: false } })
})
afterEach(async () => {
  expect(await inconsistencies(app.deps.tables)).toEqual([])
  await app.close()
})

const upload = async ({ put_url }: Allocated, bytes: number) => {
  const headers = { 'content-type': 'video/mp2t', ...put_url.headers }
  expect((await app.fetch(put_url.url, { method: 'PUT', body: new Uint8Array(bytes), headers })).status).toBe(200)
}
/** Objects of one new flow, registered by one segment each; `sizes` undefined: not uploaded. */
const registered = async (...sizes: readonly (number | undefined)[]): Promise<{ flow: string; ids: readonly string[] }> => {
  const { id: flow } = await createFlow(app)
  const places = await allocate(app, flow, { limit: sizes.length })
  for (const [index, place] of places.entries()) {
    const size = sizes[index]
    if (size !== undefined) await upload(place, size)
    expectStatus(await postSegment(app, flow, { object_id: place.object_id, timerange: `[${index}:0_${index + 1}:0)` }), 201)
  }
  return { flow, ids: places.map(({ object_id }) => object_id) }
}
const rowsOf = (ids: readonly string[]) =>
  app.deps.tables.read(async (tx) => {
    const rows = await findObjects(tx, ids)
    return ids.map((id) => rows.get(id))
  })
const sizesOf = async (ids: readonly string[]) => (await rowsOf(ids)).map((row) => row?.size)
const instancesOf = async (id: string) => (await rowsOf([id])).flatMap((row) => (row ? (parseInstances(row) as ControlledInstance[]) : []))
const indexed = () => app.deps.tables.read(async (tx) => (await tx.list('object_instances', { where: everything, limit: 100 })).rows)
const look = () => runUntilIdle(app.deps, objectSizeWorker(app.deps))
const keyOf = async (id: string) => (await instancesOf(id))[0]?.key ?? ''

/** The worker with a backend whose `head` is another one; counts the looks. */
const looking = (head: (store: MediaStore, key: string) => ReturnType<MediaStore['head']>) => {
  const seen = { looks: 0 }
  const backends = app.deps.backends.map(({ info, store }) => ({
    info,
    store: {
      ...store,
      head: (key: string) => {
        seen.looks++
        return head(store, key)
      },
    },
  }))
  return { worker: objectSizeWorker({ ...app.deps, backends }), seen }
}

describe('the sizes of registered objects', () => {
  test('are found out behind the post and kept with the object, its instance and the index of the backend', async () => {
    const { ids } = await registered(1000, 0)
    expect(await sizesOf(ids)).toEqual([null, null])
    await look()
    expect(await sizesOf(ids)).toEqual([1000n, 0n])
    expect(await instancesOf(ids[0] ?? '')).toMatchObject([{ storage_id: primaryStorage, size: 1000 }])
    expect((await indexed()).map(({ size }) => size).sort()).toEqual([0n, 1000n])
    expect((await rowsOf(ids)).map((row) => row?.size_due)).toEqual([null, null])
  })

  test('of init objects are found out too', async () => {
    const body = videoFlow({ container: 'video/mp4' })
    const flow = { ...body, essence_parameters: { ...(body.essence_parameters as object), init_segments: true } }
    await createFlow(app, flow)
    const [media, init] = await allocate(app, flow.id, { limit: 2, content_type: 'video/mp2t' })
    if (!media || !init) throw new Error('nothing was allocated')
    await upload(media, 10)
    await upload(init, 3)
    const segment = { object_id: media.object_id, init_object_id: init.object_id, timerange: '[0:0_1:0)' }
    expectStatus(await postSegment(app, flow.id, segment), 201)
    await look()
    expect(await sizesOf([media.object_id, init.object_id])).toEqual([10n, 3n])
  })

  test('are not asked for while nothing is registered, nor of objects that lie elsewhere', async () => {
    const { id: flow } = await createFlow(app)
    const [place] = await allocate(app, flow)
    if (place) await upload(place, 7)
    const get_urls = [{ url: 'https://media.example.com/x', label: 'elsewhere' }]
    expectStatus(await postSegment(app, flow, { object_id: 'afar', timerange: '[0:0_1:0)', get_urls }), 201)
    const { worker, seen } = looking((store, key) => store.head(key))
    expect([await step(app.deps, worker), seen.looks]).toEqual([false, 0])
  })

  test('are asked for once: what is known is not looked at again', async () => {
    await registered(5)
    const { worker, seen } = looking((store, key) => store.head(key))
    await runUntilIdle(app.deps, worker)
    app.clock.advance(30 * 86_400)
    await runUntilIdle(app.deps, worker)
    expect(seen.looks).toBe(1)
  })

  test('of a copy are known when it is advertised', async () => {
    const { ids } = await registered(300)
    expectStatus(await app.post(`/objects/${ids[0]}/instances`, { storage_id: secondaryStorage }), 201)
    await runUntilIdle(app.deps, objectCopyWorker(app.deps))
    expect((await instancesOf(ids[0] ?? ''))[1]).toMatchObject({ storage_id: secondaryStorage, status: 'ready', size: 300 })
    expect((await indexed()).find((row) => row.storage_id === secondaryStorage)?.size).toBe(300n)
  })
})

describe('bytes that are not there yet', () => {
  test('are looked for again, less and less often, and found when they come', async () => {
    const { ids } = await registered(undefined)
    const { worker, seen } = looking((store, key) => store.head(key))
    await runUntilIdle(app.deps, worker)
    app.clock.advance(3600)
    await runUntilIdle(app.deps, worker)
    app.clock.advance(1800)
    await runUntilIdle(app.deps, worker)
    expect(seen.looks).toBe(2)
    await app.deps.backends[0]?.store.put(await keyOf(ids[0] ?? ''), new Blob(['late']).stream(), { contentType: 'video/mp2t' })
    app.clock.advance(3600)
    await runUntilIdle(app.deps, worker)
    expect(await sizesOf(ids)).toEqual([4n])
  })

  test('are given up after a week', async () => {
    const { ids } = await registered(undefined)
    const { worker, seen } = looking((store, key) => store.head(key))
    for (let hours = 0; hours < 10 * 24; hours += 6) {
      await runUntilIdle(app.deps, worker)
      app.clock.advance(6 * 3600)
    }
    expect(seen.looks).toBeGreaterThan(5)
    expect(seen.looks).toBeLessThan(40)
    expect((await rowsOf(ids))[0]?.size_due).toBeNull()
  })

  test('of a backend that is away keep those of others from nothing', async () => {
    const { ids } = await registered(1, 2)
    const away = await keyOf(ids[0] ?? '')
    const { worker } = looking((store, key) => (key === away ? Promise.reject(new Error('away')) : store.head(key)))
    await expect(step(app.deps, worker)).rejects.toThrow('away')
    expect(await sizesOf(ids)).toEqual([null, 2n])
    app.clock.advance(60)
    await look()
    expect(await sizesOf(ids)).toEqual([1n, 2n])
  })
})

describe('what happens while the bytes are looked at', () => {
  test('a deletion of the object is not undone', async () => {
    const { flow, ids } = await registered(9)
    const { worker } = looking(async (store, key) => {
      const found = await store.head(key)
      expectStatus(await app.delete(`/flows/${flow}/segments`), 204)
      return found
    })
    await step(app.deps, worker)
    expect(await rowsOf(ids)).toEqual([undefined])
    expect(await indexed()).toEqual([])
  })

  test('an object made again with the same id does not get the size of the former one', async () => {
    const { id: flow } = await createFlow(app)
    const make = async (bytes: number) => {
      const [place] = await allocate(app, flow, { object_ids: ['recycled'] })
      if (place) await upload(place, bytes)
      expectStatus(await postSegment(app, flow, { object_id: 'recycled', timerange: '[0:0_1:0)' }), 201)
    }
    await make(100)
    let first = true
    const { worker } = looking(async (store, key) => {
      const found = await store.head(key)
      if (first) {
        first = false
        expectStatus(await app.delete(`/flows/${flow}/segments`), 204)
        await make(22)
      }
      return found
    })
    await step(app.deps, worker)
    expect(await sizesOf(['recycled'])).toEqual([null])
    await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
    app.clock.advance(10)
    await runUntilIdle(app.deps, worker)
    expect(await sizesOf(['recycled'])).toEqual([22n])
  })

  test('another process that has taken over keeps the late one from writing', async () => {
    const { ids } = await registered(9)
    const { worker } = looking(async (store, key) => {
      app.clock.advance(60)
      await takeLease(app.deps.tables, app.clock, 'object-sizes', 'the next one')
      return store.head(key)
    })
    await expect(step(app.deps, worker)).rejects.toThrow('taken over')
    expect(await sizesOf(ids)).toEqual([null])
  })
})
