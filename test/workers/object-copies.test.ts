import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { everything } from '../../src/core/predicate.ts'
import type { MediaStore } from '../../src/storage/media.ts'
import { mediaRemovalWorker } from '../../src/workers/media-removals.ts'
import { objectCopyWorker } from '../../src/workers/object-copies.ts'
import { object } from '../support/answers.ts'
import { openApp, primaryStorage, secondaryStorage, type TestApp } from '../support/app.ts'
import { inconsistencies, strayBytes } from '../support/consistency.ts'
import { allocateOne, createFlow, expectStatus, postSegment } from '../support/fixtures.ts'
import { runUntilIdle, step, takeLease } from '../support/workers.ts'

let app: TestApp
beforeEach(async () => {
  app = await openApp({ settings: { softDeleteDefault: false, webhookAllowedHosts: ['127.0.0.1'] } })
})
afterEach(async () => {
  expect(await inconsistencies(app.deps.tables)).toEqual([])
  await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
  expect(await strayBytes(app.deps.tables, app.deps.backends)).toEqual([])
  await app.close()
})

const bytes = new Uint8Array(300_000).map((_, index) => index * 7 + (index >> 8))
const controlled = async (id = 'the object') => {
  const { id: flow } = await createFlow(app)
  const { put_url } = await allocateOne(app, flow, { object_ids: [id] })
  const put = await app.fetch(put_url.url, { method: 'PUT', body: bytes, headers: { 'content-type': 'video/mp2t', ...put_url.headers } })
  expect(put.status).toBe(200)
  expectStatus(await postSegment(app, flow, { object_id: id, timerange: '[0:0_1:0)' }), 201)
  const path = `/objects/${encodeURIComponent(id)}`
  return { flow, id, path }
}
const askForCopy = async (path: string) => expectStatus(await app.post(`${path}/instances`, { storage_id: secondaryStorage }), 201)
const urlsOf = async (path: string) => object(await app.request('GET', path, { head: false })).get_urls as { url: string; label?: string }[]
const labelsOf = async (path: string) => (await urlsOf(path)).map(({ label }) => label)
const jobs = () => app.deps.tables.read(async (tx) => (await tx.list('media_copies', { where: everything, limit: 100 })).rows)

/** The same backends; the store of the second one changed. */
const withSecondary = (change: (store: MediaStore) => Partial<MediaStore>) =>
  objectCopyWorker({
    ...app.deps,
    backends: app.deps.backends.map(({ info, store }) =>
      info.id === secondaryStorage ? { info, store: { ...store, ...change(store) } } : { info, store },
    ),
  })
const copy = (worker = objectCopyWorker(app.deps)) => runUntilIdle(app.deps, worker)

describe('a copy to another backend', () => {
  test('is advertised when it is there, and served when the source is gone [8.2] [8.3] [8.2-M2] [8.2-M4] [8.3-S2]', async () => {
    const { path } = await controlled()
    await askForCopy(path)
    expect(await labelsOf(path)).toEqual(['primary'])
    await copy()
    expect(await labelsOf(path)).toEqual(['primary', 'secondary'])
    expect(await jobs()).toEqual([])
    expectStatus(await app.delete(`${path}/instances?storage_id=${primaryStorage}`), 204)
    await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
    const [url, ...more] = await urlsOf(path)
    expect([url?.label, more]).toEqual(['secondary', []])
    const served = await app.fetch(url?.url ?? '')
    expect(served.headers.get('content-type')).toBe('video/mp2t')
    expect(await served.bytes()).toEqual(bytes)
  })

  test('may be made once more after it was removed', async () => {
    const { path } = await controlled()
    for (let round = 0; round < 3; round++) {
      await askForCopy(path)
      await copy()
      expect(await labelsOf(path)).toEqual(['primary', 'secondary'])
      expectStatus(await app.delete(`${path}/instances?storage_id=${secondaryStorage}`), 204)
      if (round === 1) await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
    }
    await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
    expect(await labelsOf(path)).toEqual(['primary'])
    expect(await (await app.fetch((await urlsOf(path))[0]?.url ?? '')).bytes()).toEqual(bytes)
  })

  test('that differs from its source is not advertised, and is made again [8.2-M2] [8.2-M4]', async () => {
    const { path } = await controlled()
    await askForCopy(path)
    const corrupting = (store: MediaStore): Partial<MediaStore> => ({
      put: async (key, body, options) => {
        const copied = await new Response(body).bytes()
        copied[1000] = (copied[1000] ?? 0) ^ 1
        return store.put(key, new Response(copied).body ?? new ReadableStream(), options)
      },
    })
    await step(app.deps, withSecondary(corrupting))
    expect(await labelsOf(path)).toEqual(['primary'])
    expect(await jobs()).toMatchObject([{ status: 'created', attempts: 1, error: 'the copy differs from its original' }])
    await copy()
    expect(await labelsOf(path)).toEqual(['primary'])
    app.clock.advance(3)
    await copy()
    expect(await labelsOf(path)).toEqual(['primary', 'secondary'])
  })

  test('that breaks off is tried again later and later, and in the end given up', async () => {
    const { path } = await controlled()
    await askForCopy(path)
    const failing = withSecondary(() => ({ put: () => Promise.reject(new Error('no room')) }))
    const waitsUs: bigint[] = []
    for (let tries = 0; tries < 12; tries++) {
      expect(await step(app.deps, failing)).toBe(true)
      expect(await step(app.deps, failing)).toBe(false)
      const waitUs = ((await jobs())[0]?.updated ?? 0n) - app.clock.nowUs()
      waitsUs.push(waitUs)
      app.clock.advance(Number(waitUs / 1_000_000n) + 1)
    }
    for (const [index, waitUs] of waitsUs.entries()) {
      expect(waitUs).toBeGreaterThanOrEqual((waitsUs[index - 1] ?? 1_000_000n) - 1000n)
      expect(waitUs).toBeLessThanOrEqual(600_000_000n)
    }
    expect(await jobs()).toMatchObject([{ status: 'error', attempts: 12, error: 'no room' }])
    app.clock.advance(3600)
    expect(await step(app.deps, failing)).toBe(false)
    expectStatus(await app.delete(`${path}/instances?storage_id=${secondaryStorage}`), 204)
    expect(await jobs()).toEqual([])
    await askForCopy(path)
    await copy()
    expect(await labelsOf(path)).toEqual(['primary', 'secondary'])
  })
})

describe('what happens while the bytes are copied', () => {
  /** Runs `meanwhile` when the copy's bytes are in place and its record is not yet. */
  const during = (meanwhile: () => Promise<void>) => {
    let first = true
    return withSecondary((store) => ({
      put: async (key, body, options) => {
        const stored = await store.put(key, body, options)
        if (first) await meanwhile()
        first = false
        return stored
      },
    }))
  }
  const removeBytes = () => runUntilIdle(app.deps, mediaRemovalWorker(app.deps))

  test('a deletion of the object leaves no bytes behind', async () => {
    const { flow, path } = await controlled()
    await askForCopy(path)
    await copy(
      during(async () => {
        expectStatus(await app.delete(`/flows/${flow}/segments`), 204)
      }),
    )
    await removeBytes()
    expect(await jobs()).toEqual([])
    expect(await storedCount()).toBe(0)
  })

  test('a deletion whose bytes are removed before the copy is stored leaves none behind either', async () => {
    const { flow, path } = await controlled()
    await askForCopy(path)
    const late = withSecondary((store) => ({
      put: async (key, body, options) => {
        const copied = await new Response(body).bytes()
        expectStatus(await app.delete(`/flows/${flow}/segments`), 204)
        await removeBytes()
        return store.put(key, new Response(copied).body ?? new ReadableStream(), options)
      },
    }))
    await copy(late)
    await removeBytes()
    expect(await storedCount()).toBe(0)
  })

  test('a crash after that deletion leaves none behind: the copy is looked at again', async () => {
    const { flow, path } = await controlled()
    await askForCopy(path)
    const crash = new AbortController()
    const crashing = withSecondary((store) => ({
      put: async (key, body, options) => {
        const copied = await new Response(body).bytes()
        expectStatus(await app.delete(`/flows/${flow}/segments`), 204)
        await removeBytes()
        await store.put(key, new Response(copied).body ?? new ReadableStream(), options)
        crash.abort(new Error('killed'))
        throw crash.signal.reason
      },
    }))
    const lease = await takeLease(app.deps.tables, app.clock, crashing.name, 'crashed')
    await expect(crashing.step(lease, crash.signal)).rejects.toThrow('killed')
    expect(await storedCount()).toBe(1)
    app.clock.advance(31)
    await copy()
    await removeBytes()
    expect(await storedCount()).toBe(0)
  })

  test('a removal of the instance and a new request for it: the new copy stays, whichever bytes come last', async () => {
    const { path } = await controlled()
    await askForCopy(path)
    await copy(
      during(async () => {
        expectStatus(await app.delete(`${path}/instances?storage_id=${secondaryStorage}`), 204)
        await removeBytes()
        await askForCopy(path)
      }),
    )
    await removeBytes()
    expect(await labelsOf(path)).toEqual(['primary', 'secondary'])
    for (const { url } of await urlsOf(path)) expect(await (await app.fetch(url)).bytes()).toEqual(bytes)
    expect(await storedCount()).toBe(2)
  })

  test('an object made again with the same id does not get the former one’s bytes', async () => {
    const { flow, path } = await controlled('recycled')
    await askForCopy(path)
    await copy(
      during(async () => {
        expectStatus(await app.delete(`/flows/${flow}/segments`), 204)
        await removeBytes()
        const { put_url } = await allocateOne(app, flow, { object_ids: ['recycled'] })
        const init = { method: 'PUT', body: 'other bytes', headers: { 'content-type': 'video/mp2t', ...put_url.headers } }
        expect((await app.fetch(put_url.url, init)).status).toBe(200)
        expectStatus(await postSegment(app, flow, { object_id: 'recycled', timerange: '[0:0_1:0)' }), 201)
        await askForCopy(path)
      }),
    )
    await removeBytes()
    expect(await labelsOf(path)).toEqual(['primary', 'secondary'])
    for (const { url } of await urlsOf(path)) expect(await (await app.fetch(url)).text()).toBe('other bytes')
  })
})

describe('an object with only uncontrolled instances', () => {
  const uncontrolled = async (answer: () => Response, host = '127.0.0.1') => {
    const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: answer })
    const { id: flow } = await createFlow(app)
    const get_urls = [{ url: `http://${host}:${server.port}/object.ts`, label: 'elsewhere' }]
    expectStatus(await postSegment(app, flow, { object_id: 'afar', timerange: '[0:0_1:0)', get_urls }), 201)
    await askForCopy('/objects/afar')
    const worker = objectCopyWorker(app.deps)
    await step(app.deps, worker)
    await server.stop(true)
    return (await jobs())[0]?.error
  }

  test('is copied from its URL [8.2-S1]', async () => {
    expect(await uncontrolled(() => new Response(bytes, { headers: { 'content-type': 'video/mp2t' } }))).toBeUndefined()
    expect(await labelsOf('/objects/afar')).toEqual(['secondary', 'elsewhere'])
    const served = await app.fetch((await urlsOf('/objects/afar'))[0]?.url ?? '')
    expect(served.headers.get('content-type')).toBe('video/mp2t')
    expect(await served.bytes()).toEqual(bytes)
  })

  test.each([
    ['answers 404', () => new Response('no', { status: 404 }), 'answered 404'],
    ['leads elsewhere', () => new Response(null, { status: 302, headers: { location: 'http://127.0.0.1:1/' } }), 'answered 302'],
  ])('whose URL %s is not copied, and the job says why', async (_, answer, error) => {
    expect(await uncontrolled(answer)).toContain(error)
    expect(await labelsOf('/objects/afar')).toEqual(['elsewhere'])
  })

  test('whose URL leads into a private network is not asked for', async () => {
    let asked = 0
    const answer = () => new Response(`${asked++}`)
    expect(await uncontrolled(answer, '127.0.0.2')).toContain('private network')
    expect(asked).toBe(0)
  })
})

const storedCount = async (): Promise<number> => {
  let count = 0
  for (const { store } of app.deps.backends) for await (const _ of store.list({})) count++
  return count
}
