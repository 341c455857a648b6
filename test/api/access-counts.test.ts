import { afterEach, beforeEach, expect, test } from 'bun:test'
import { everything } from '../../src/core/predicate.ts'
import { AccessCounts } from '../../src/domain/access-counts.ts'
import type { GetUrlItem } from '../../src/domain/get-urls.ts'
import { openApp, primaryStorage, type TestApp } from '../support/app.ts'
import { faultyTables } from '../support/faulty-tables.ts'
import { allocate, createFlow, expectStatus, postSegment, seconds } from '../support/fixtures.ts'

let app: TestApp
beforeEach(async () => {
  app = await openApp({ settings: { softDeleteDefault: false } })
})
afterEach(() => app.close())

const signed: readonly GetUrlItem[] = [{ url: 'https://example.com/a', presigned: true }]
const counts = (): AccessCounts => {
  if (!app.deps.accesses) throw new Error('accesses are not counted')
  return app.deps.accesses
}
const rows = async () => (await app.deps.tables.read((tx) => tx.list('object_access', { where: everything, limit: 1000 }))).rows
const counted = async () => (await rows()).map((row) => [row.object_id, row.flow_id, row.signed_count, row.read_count, row.read_bytes])

/** A flow with media of these texts, one second each; gives the object ids. */
const flowOf = async (...texts: readonly string[]): Promise<{ readonly id: string; readonly objects: readonly string[] }> => {
  const { id } = await createFlow(app)
  const allocated = await allocate(app, id, { limit: texts.length })
  for (const [i, { put_url }] of allocated.entries()) {
    const answer = await app.fetch(put_url.url, { method: 'PUT', body: texts[i] ?? '', headers: { 'content-type': 'video/mp2t' } })
    expect(answer.status).toBe(200)
  }
  const segments = allocated.map(({ object_id }, i) => ({ object_id, timerange: seconds(1, i)[0] }))
  expectStatus(await postSegment(app, id, segments), 201)
  return { id, objects: allocated.map(({ object_id }) => object_id) }
}
const once = { head: false } as const

test('signed URLs are counted for each object and flow, and added up by each flush', async () => {
  const { id, objects } = await flowOf('one', 'two')
  const [first = '', second = ''] = objects
  await app.request('GET', `/flows/${id}/segments`, once)
  await app.request('GET', `/flows/${id}/segments?limit=1`, once)
  expect(await rows()).toEqual([])
  await counts().flush()
  expect(await counted()).toEqual(
    [
      [first, id, 2n, 0n, 0n],
      [second, id, 1n, 0n, 0n],
    ].toSorted(),
  )
  await app.request('GET', `/flows/${id}/segments?timerange=[0:0]`, once)
  await app.request('GET', `/objects/${first}`, once)
  await counts().flush()
  expect(await counted()).toContainEqual([first, id, 3n, 0n, 0n])
  expect(await counted()).toContainEqual([first, '', 1n, 0n, 0n])
})

test('a listing without URLs counts nothing, and a flush without counts writes nothing', async () => {
  const { id } = await flowOf('one')
  const before = await app.deps.tables.version('object_access')
  await app.request('GET', `/flows/${id}/segments?accept_get_urls=`, once)
  await app.request('GET', `/flows/${id}/segments?presigned=false`, once)
  await counts().flush()
  expect(await app.deps.tables.version('object_access')).toBe(before)
})

test('bytes that are served are counted with their number, a range with what it holds', async () => {
  const { id, objects } = await flowOf('0123456789')
  const page = await app.request('GET', `/flows/${id}/segments?presigned=true`, once)
  const [{ get_urls }] = page.body as [{ get_urls: [{ url: string }] }]
  const read = async (headers: Record<string, string> = {}) => (await app.fetch(get_urls[0].url, { headers })).text()
  expect(await read()).toBe('0123456789')
  expect(await read({ range: 'bytes=2-4' })).toBe('234')
  await counts().flush()
  expect(await counted()).toEqual([
    [objects[0] ?? '', '', 0n, 2n, 13n],
    [objects[0] ?? '', id, 1n, 0n, 0n],
  ])
})

test('what is asked for more often than there is room is missed and told, and the rest is right', async () => {
  const { objects } = await flowOf('one', 'two', 'three')
  const [first = '', second = '', third = ''] = objects
  const few = new AccessCounts(app.deps, 2)
  const count = few.signedFor('f')
  for (const object of [first, second, third, first]) count(object, signed)
  few.served('no such key', primaryStorage, 1)
  expect(few.missed).toBe(2)
  await few.flush()
  expect(await counted()).toEqual(
    [
      [first, 'f', 2n, 0n, 0n],
      [second, 'f', 1n, 0n, 0n],
    ].toSorted(),
  )
  few.signedFor('f')(third, signed)
  await few.flush()
  expect(await rows()).toHaveLength(3)
})

test('an object that is gone leaves no row, neither before nor after a flush', async () => {
  const { id, objects } = await flowOf('one')
  counts().signedFor(id)(objects[0] ?? '', signed)
  await counts().flush()
  expect(await rows()).toHaveLength(1)
  expectStatus(await app.delete(`/flows/${id}/segments`), 204)
  expect(await rows()).toEqual([])
  counts().signedFor(id)(objects[0] ?? '', signed)
  await counts().flush()
  expect(await rows()).toEqual([])
})

test('what could not be written is written the next time, once', async () => {
  const { id, objects } = await flowOf('one')
  const [object = ''] = objects
  const faulty = faultyTables(app.deps.tables)
  const kept = new AccessCounts({ ...app.deps, tables: faulty.tables })
  for (let call = 1; call <= 4; call++) {
    kept.signedFor(id)(object, signed)
    faulty.arm(call)
    await expect(kept.flush()).rejects.toThrow('an injected fault')
  }
  expect(await rows()).toEqual([])
  faulty.arm(0)
  await kept.flush()
  await kept.flush()
  expect(await counted()).toEqual([[object, id, 4n, 0n, 0n]])
})
