import { afterAll, beforeAll, expect, test } from 'bun:test'
import { seesEverything } from '../../src/domain/context.ts'
import { createDomain } from '../../src/domain/index.ts'
import type { Json } from '../support/answers.ts'
import { openApp, origin, type TestApp } from '../support/app.ts'
import { createFlow, expectStatus, register, seconds, videoFlow } from '../support/fixtures.ts'
import { call, workOff } from '../support/trash.ts'

const FLOWS = 2500
const SEGMENTS = 3000
let app: TestApp
const expected = new Map<string, boolean>()

beforeAll(async () => {
  app = await openApp({ settings: { strict: false, softDeleteDefault: true } })
  const domain = createDomain(app.deps)
  const context = { principal: { name: 'tester' }, visible: seesEverything, requestId: 'a request', baseUrl: origin }
  for (let n = 0; n < FLOWS; n++) {
    // Many of one label: pages end amid equal values.
    const flow = videoFlow({ label: `label ${n % 7}` })
    await domain.flows.put(context, flow.id, () => flow)
    if (n % 3 === 0) await domain.flows.deleteFlow(context, flow.id)
    expected.set(flow.id, n % 3 === 0)
  }
}, 120_000)
afterAll(() => app.close())

const walk = async (path: string, limit: number): Promise<Json[]> => {
  const items: Json[] = []
  for (let target: string | undefined = `${origin}${path}&limit=${limit}`; target !== undefined; ) {
    const answer = await app.fetch(target)
    expect(answer.status).toBe(200)
    items.push(...((await answer.json()) as Json[]))
    target = /^<([^>]*)>/.exec(answer.headers.get('link') ?? '')?.[1]
  }
  return items
}

test.each(['created', 'metadata_updated', 'label'])(
  'thousands of flows, live and deleted, are listed once each by %s',
  async (sort) => {
    for (const reverse of [false, true]) {
      const found = await walk(`/flows?include_deleted=true&sort_by=${sort}&reverse_order=${reverse}`, 97)
      expect(found).toHaveLength(FLOWS)
      expect(new Map(found.map((item) => [String(item.id), item.deleted === true]))).toEqual(expected)
    }
    expect(await walk(`/flows?deleted_only=true&sort_by=${sort}`, 97)).toHaveLength(Math.ceil(FLOWS / 3))
  },
  240_000,
)

test('thousands of segments on several timelines are listed once each, by time', async () => {
  const { id } = await createFlow(app)
  await register(app, id, ...seconds(SEGMENTS))
  for (const range of ['[100:0_1300:0)', '[1300:0_1400:0)', '[2000:0_2100:0)'])
    await call(app, 'DELETE', `/flows/${id}/segments?timerange=${range}`, range === '[100:0_1300:0)' ? 202 : 204)
  await workOff(app, 500)
  await register(app, id, ...seconds(50, 1250))
  expectStatus(await call(app, 'DELETE', `/flows/${id}/segments?timerange=[1250:0_1275:0)`, 204), 204)
  for (const reverse of [false, true]) {
    const found = await walk(`/flows/${id}/segments?include_deleted=true&reverse_order=${reverse}`, 61)
    expect(found).toHaveLength(SEGMENTS + 50)
    const keys = found.map((item) => `${item.timerange} ${item.object_id}`)
    expect(new Set(keys).size).toBe(keys.length)
    const starts = found.map((item) => Number(/\d+/.exec(String(item.timerange))?.[0]))
    expect(starts).toEqual(starts.toSorted((a, b) => (reverse ? b - a : a - b)))
    expect(found.filter((item) => item.deleted === true)).toHaveLength(1425)
  }
}, 120_000)
