import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { list } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { createFlow, expectInvalid, expectStatus, ids, nextLink, register, seconds, uuid, videoFlow, walk } from '../support/fixtures.ts'

let app: TestApp
let run: string
const flows: string[] = []

const label = (index: number): string | undefined => (index % 4 === 3 ? undefined : ['b', 'a', 'Ü', '☂'][index % 5 === 4 ? 3 : index % 3])

beforeAll(async () => {
  app = await openApp()
  run = uuid()
  for (let index = 0; index < 45; index++) {
    const flow = videoFlow({ label: label(index), tags: { run, kind: index % 2 === 0 ? 'even' : ['odd', 'strange'] } })
    await createFlow(app, flow)
    flows.push(flow.id)
    const source = `/sources/${flow.source_id}`
    await app.put(`${source}/tags/run`, run)
    if (label(index) !== undefined) await app.put(`${source}/label`, label(index))
  }
})
afterAll(() => app.close())

const orders = ['', '&sort_by=created', '&sort_by=label', '&reverse_order=true', '&sort_by=label&reverse_order=true']
const listings = [
  ...[...orders, '&sort_by=metadata_updated'].map((order) => ['/flows', order] as const),
  ...[...orders, '&sort_by=updated&reverse_order=true'].map((order) => ['/sources', order] as const),
]

describe.each(listings)('%s?…%s', (path, order) => {
  test('pages of 4 give the same items in the same order as one page [1.5] [1.6] [1.5-M1] [1.5-S1] [1.1-M2]', async () => {
    const all = ids(list(await app.get(`${path}?tag.run=${run}${order}&limit=1000`)))
    expect(all).toHaveLength(45)
    expect(ids(await walk(app, `${path}?tag.run=${run}${order}&limit=4`))).toEqual(all)
  })

  test('X-Paging-NextKey as `page` is what Link leads to [1.5] [1.5-M1] [1.5-M3]', async () => {
    const first = await app.get(`${path}?tag.run=${run}${order}&limit=4`)
    const key = encodeURIComponent(first.headers.get('x-paging-nextkey') ?? '')
    const byKey = await app.get(`${path}?tag.run=${run}${order}&limit=4&page=${key}`)
    expect(byKey.body).toEqual((await app.get(nextLink(first) ?? '')).body)
    expect(ids(list(byKey))).not.toEqual(ids(list(first)))
  })
})

describe('paging', () => {
  test('the default page has 30 items; limit=300 is honoured [1.5] [1.5-M4]', async () => {
    expect(list(await app.get(`/flows?tag.run=${run}`))).toHaveLength(30)
    const answer = await app.get(`/flows?tag.run=${run}&limit=300`)
    expect(answer.headers.get('x-paging-limit')).toBe('300')
    expect(list(answer)).toHaveLength(45)
    expect(nextLink(answer)).toBeUndefined()
  })

  test('Link is absent on the last page, and the count is that of its items [1.5] [1.5-M2] [1.5-M3] [1.5-M5]', async () => {
    let last = await app.get(`/flows?tag.run=${run}&limit=20`)
    for (let target = nextLink(last); target !== undefined; target = nextLink(last)) last = await app.get(target)
    expect(last.headers.get('link')).toBeNull()
    expect(last.headers.get('x-paging-nextkey')).toBeNull()
    expect([last.headers.get('x-paging-limit'), last.headers.get('x-paging-count')]).toEqual(['20', '5'])
  })

  test('filters hold on every page, also list filters in a Link without raw commas [1.5] [1.7]', async () => {
    const seen = await walk(app, `/flows?tag.run=${run}&tag.kind=strange,none&limit=3`)
    expect(seen).toHaveLength(22)
    for (const flow of seen) expect(Object(flow.tags).kind).toEqual(['odd', 'strange'])
  })

  test('nothing is skipped or repeated when items come and go between pages [1.5] [1.5-S1]', async () => {
    const own = uuid()
    const mine: string[] = []
    for (let index = 0; index < 12; index++) mine.push((await createFlow(app, videoFlow({ tags: { own } }))).id)
    const gone = new Set<string>()
    const seen = ids(
      await walk(app, `/flows?tag.own=${own}&limit=3&reverse_order=true`, async (page) => {
        const last = page.at(-1)
        if (last) {
          gone.add(String(last.id))
          await app.delete(`/flows/${last.id}`)
        }
      }),
    )
    expect(seen).toEqual(mine)
    expect(gone.size).toBeGreaterThan(2)
  })

  test.each([
    ['garbage', 'page=abcdefgh'],
    ['an empty key', 'page='],
    ['a very long key', `page=${'A'.repeat(4000)}`],
    ['bytes that are no text', 'page=%FF%FE'],
  ])('%s is 400 [1.5]', async (_, query) => {
    for (const path of ['/flows', '/sources', `/flows/${flows[0]}/segments`, '/service/storage-backends'])
      expectInvalid(await app.get(`${path}?${query}`), 'page')
  })

  test('a key of another listing, another order or with a changed letter is 400 [1.5]', async () => {
    await register(app, flows[0] ?? '', ...seconds(3))
    const keyOf = async (path: string) => (await app.get(path)).headers.get('x-paging-nextkey') ?? ''
    const [flowKey, labelKey] = [await keyOf('/flows?limit=1'), await keyOf('/flows?limit=1&sort_by=label')]
    const segmentKey = await keyOf(`/flows/${flows[0]}/segments?limit=1`)
    for (const key of [flowKey, labelKey, segmentKey]) expect(key).toMatch(/^[A-Za-z0-9_.~-]+$/)
    expectInvalid(await app.get(`/sources?page=${flowKey}`), 'page')
    expectInvalid(await app.get(`/flows?page=${labelKey}`), 'page')
    expectInvalid(await app.get(`/flows?page=${segmentKey}`), 'page')
    expectInvalid(await app.get(`/flows/${flows[0]}/segments?page=${flowKey}`), 'page')
    const middle = Math.floor(flowKey.length / 2)
    const changed = `${flowKey.slice(0, middle)}${flowKey[middle] === 'A' ? 'B' : 'A'}${flowKey.slice(middle + 1)}`
    expectInvalid(await app.get(`/flows?page=${changed}`), 'page')
    expectInvalid(await app.get(`/flows?page=${flowKey.slice(0, -3)}`), 'page')
  })

  test('keys are short and the headers stay under 2 KB for long labels and long requests [1.5]', async () => {
    const own = uuid()
    const long = '\u{1F3AC}'.repeat(500)
    for (let index = 0; index < 3; index++) await createFlow(app, videoFlow({ label: long, tags: { own } }))
    const target = `/flows?tag.own=${own}&sort_by=label&limit=1&tag_exists.own=true&ignored=${'x'.repeat(850)}`
    const answer = expectStatus(await app.get(target), 200)
    const key = answer.headers.get('x-paging-nextkey') ?? ''
    expect(key.length).toBeGreaterThan(0)
    expect(key.length).toBeLessThanOrEqual(200)
    const bytes = [...answer.headers].reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value) + 4, 0)
    expect(bytes).toBeLessThan(2048)
    expect(ids(await walk(app, target))).toHaveLength(3)
  })

  test.each([['0'], ['-5'], ['1.5'], ['1e3'], ['abc'], ['99999999999999999999x'], ['%20']])(
    'limit=%s is 400 everywhere [1.5]',
    async (limit) => {
      for (const path of [
        '/flows',
        '/sources',
        `/flows/${uuid()}/segments`,
        '/service/storage-backends',
        '/service/profiles',
        '/flow-delete-requests',
      ])
        expectInvalid(await app.get(`${path}?limit=${limit}`), 'limit')
    },
  )
})

describe('headers of each listing', () => {
  const five = ['x-paging-count', 'x-paging-limit', 'x-paging-nextkey', 'x-paging-reverse-order', 'link']
  const three = ['x-paging-limit', 'x-paging-nextkey', 'link']
  test.each([
    ['/service/storage-backends', five],
    ['/service/profiles', three],
    ['/sources', five],
    ['/flows', five],
    ['/flows/{id}/segments', [...five, 'x-paging-timerange']],
    ['/objects/{object}', three],
    ['/flow-delete-requests', five],
  ])(
    '%s has those of the matrix, with and without a next page [A] [1.5] [1.5-M2] [1.5-M3] [3.3-M5] [3.4-M1] [4.1-M1] [5.2-M1] [6.1-M1] [8.1-M1] [13-18]',
    async (path, expected) => {
      const own = await openApp({ settings: { asyncDeletionThreshold: 1 } })
      try {
        const [first, second] = [await createFlow(own), await createFlow(own)]
        const [object_id = ''] = await register(own, first.id, ...seconds(2))
        expectStatus(await own.post(`/flows/${second.id}/segments`, { object_id, timerange: '[0:0_1:0)' }), 201)
        for (const id of [uuid(), uuid()]) {
          const flow_metadata = { format: 'urn:x-nmos:format:data', codec: 'a/b', essence_parameters: {} }
          expectStatus(await own.post(`/service/profiles/${id}`, { id, flow_metadata }), 201)
          const large = await createFlow(own)
          await register(own, large.id, ...seconds(3))
          expectStatus(await own.delete(`/flows/${large.id}`), 202)
        }
        const target = path.replace('{id}', first.id).replace('{object}', object_id)
        const names = async (query: string) => {
          const { headers } = expectStatus(await own.get(`${target}${query}`), 200)
          return [...headers.keys()].filter((name) => name === 'link' || name.startsWith('x-paging-')).sort()
        }
        expect(await names('?limit=1')).toEqual([...expected].sort())
        expect(await names('?limit=100')).toEqual(expected.filter((name) => name !== 'link' && name !== 'x-paging-nextkey').sort())
      } finally {
        await own.close()
      }
    },
  )
})
