import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openApp, secondaryStorage, type TestApp } from '../support/app.ts'
import {
  audioFlow,
  createFlow,
  dataFlow,
  expectStatus,
  external,
  imageFlow,
  multiFlow,
  postSegment,
  videoFlow,
} from '../support/fixtures.ts'
import { contentTypes, junkTexts, junkValues, methods, parameters, rawBodies, rawBytes, segmentsOfPath } from '../support/junk.ts'
import { methodsOf, type Route, routes } from '../support/specification.ts'

/* Never a 5xx, whatever a client sends. Seeds and ids are fixed: a failure prints the request and comes again. */

/** A small generator of numbers (mulberry32), so that every run sends the same. */
const random = (seed: number) => {
  let state = seed
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  return {
    next,
    pick: <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)] as T,
    chance: (share: number) => next() < share,
  }
}
type Random = ReturnType<typeof random>

const flowId = '11111111-1111-4111-8111-111111111111'
const memberId = '22222222-2222-4222-8222-222222222222'
const sourceId = '33333333-3333-4333-8333-333333333333'
const profileId = '44444444-4444-4444-8444-444444444444'
const objectId = 'the object/with a slash'
const known: Readonly<Record<string, readonly string[]>> = {
  flowId: [flowId, flowId, flowId, memberId],
  sourceId: [sourceId],
  profileId: [profileId],
  objectId: [objectId, 'segment-1', 'segment-2'],
  name: ['x', 'y', 'a/b'],
}

const flow = videoFlow({ id: flowId, source_id: sourceId, tags: { x: 'y', z: ['1', '2'] } })
const segment = (dice: Random) => {
  const number = Math.floor(dice.next() * 200)
  return external(`[${number}:0_${number + 1}:0)`, {
    object_id: `segment-${number}`,
    ts_offset: '0:0',
    key_frame_count: 1,
    get_urls: [{ url: 'https://media.example.com/x', label: 'example' }],
  })
}

/** A body that its operation would take. */
const goodBody = (dice: Random, path: string): unknown => {
  if (path === '/flows/{flowId}')
    return {
      ...dice.pick([flow, audioFlow(), imageFlow(), dataFlow(), multiFlow(), { profile_id: profileId }]),
      id: flowId,
      source_id: sourceId,
    }
  if (path.endsWith('/segments')) return dice.chance(0.5) ? segment(dice) : [segment(dice), segment(dice), segment(dice)]
  if (path.endsWith('/storage'))
    return dice.pick([{ limit: 2 }, { object_ids: [`id-${dice.next()}`] }, { limit: 1, content_type: 'a/b', presigned: true }])
  if (path.endsWith('/flow_collection')) return [{ id: memberId, role: 'x', container_mapping: { track_index: 1 } }]
  if (path.endsWith('bit_rate')) return 5
  if (path.endsWith('/read_only')) return false
  if (path.endsWith('/instances'))
    return dice.pick([{ storage_id: secondaryStorage }, { url: 'https://media.example.com/y', label: 'other' }])
  if (path === '/service') return { name: 'a', description: 'b' }
  if (path.startsWith('/service/profiles'))
    return {
      id: profileId,
      flow_metadata: { format: flow.format, codec: 'a/b', essence_parameters: { frame_width: 1, frame_height: 1, vfr: true } },
    }
  return path.includes('/tags/') && dice.chance(0.5) ? ['a', 'b'] : 'text'
}

/** `value` with one member at any depth replaced, removed or added. */
const mutated = (dice: Random, value: unknown, depth = 0): unknown => {
  if (depth > 4 || typeof value !== 'object' || value === null || dice.chance(0.1)) return dice.pick(junkValues)
  if (Array.isArray(value)) {
    const at = Math.floor(dice.next() * value.length)
    return value.map((item, index) => (index === at ? mutated(dice, item, depth + 1) : item))
  }
  const entries = Object.entries(value)
  if (entries.length === 0 || dice.chance(0.1)) return { ...value, [dice.pick(junkTexts)]: dice.pick(junkValues) }
  const [name, member] = dice.pick(entries)
  return { ...value, [name]: dice.chance(0.2) ? undefined : mutated(dice, member, depth + 1) }
}

const bodyOf = (dice: Random, path: string): string | Uint8Array<ArrayBuffer> | undefined => {
  if (dice.chance(0.1)) return undefined
  if (dice.chance(0.1)) return dice.pick(rawBodies)
  if (dice.chance(0.05)) return dice.pick(rawBytes)
  const body = goodBody(dice, path)
  return JSON.stringify(dice.chance(0.3) ? body : mutated(dice, body)) ?? 'null'
}

const pathOf = (dice: Random, route: Route): string =>
  route.path.replace(/\{([^}]+)\}/g, (_, name: string) => {
    if (dice.chance(0.85)) return encodeURIComponent(dice.pick(known[name] ?? [flowId]))
    return dice.chance(0.5) ? dice.pick(segmentsOfPath) : encodeURIComponent(dice.pick(junkTexts))
  })

const queryOf = (dice: Random): string => {
  const one = () => {
    const value = dice.chance(0.6) ? encodeURIComponent(dice.pick(junkTexts).slice(0, 2000)) : dice.pick(segmentsOfPath)
    return dice.chance(0.1) ? dice.pick(parameters) : `${dice.pick(parameters)}=${value}`
  }
  return dice.chance(0.5) ? '' : `?${Array.from({ length: Math.ceil(dice.next() * 3) }, one).join('&')}`
}

let app: TestApp

/** The fuzz also deletes and locks; what it works on is there again from time to time. */
const restore = async (): Promise<void> => {
  await app.put(`/flows/${flowId}/read_only`, false)
  await app.put(`/flows/${flowId}`, flow)
  await app.put(`/flows/${memberId}`, videoFlow({ id: memberId, source_id: memberId }))
  await postSegment(app, flowId, external('[1000:0_1001:0)', { object_id: objectId }))
}

beforeAll(async () => {
  app = await openApp({ settings: { asyncDeletionThreshold: 20 } })
  await createFlow(app, flow)
  await restore()
})
afterAll(() => app.close())

describe('no request is answered with a 5xx', () => {
  test.each([[1], [2], [3], [4]])('over all routes with odd ids, queries and bodies (seed %i) [1.4]', async (seed) => {
    const dice = random(seed * 7919)
    const before = app.errors.length
    const statuses = new Map<number, number>()
    for (let round = 0; round < 2000; round++) {
      if (round % 50 === 0) await restore()
      const route = dice.pick(routes)
      const method = dice.chance(0.85) ? dice.pick(methodsOf(route)) : dice.pick(methods)
      const path = pathOf(dice, route) + queryOf(dice)
      const raw = method === 'GET' || method === 'HEAD' ? undefined : bodyOf(dice, route.path)
      const headers = raw === undefined ? {} : { 'content-type': dice.chance(0.9) ? 'application/json' : dice.pick(contentTypes) }
      const response = await app.fetch(`http://localhost${path}`, { method, headers, ...(raw === undefined ? {} : { body: raw }) })
      const text = await response.text()
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
      if (response.status >= 500) {
        const log = app.errors.slice(before).join('')
        throw new Error(`${method} ${path} ${JSON.stringify(headers)} ${String(raw).slice(0, 300)} → ${response.status} ${text}\n${log}`)
      }
      if (response.status >= 400 && method !== 'HEAD')
        expect(JSON.parse(text)).toMatchObject({ type: expect.any(String), summary: expect.any(String) })
    }
    expect(app.errors.slice(before)).toEqual([])
    // The requests are not so wrong that nothing but the first check ever sees them.
    for (const status of [200, 201, 204, 400, 404, 405]) expect([status, (statuses.get(status) ?? 0) > 10]).toEqual([status, true])
  })

  test('answers are still valid against the specification after the storm [1.4]', async () => {
    await restore()
    for (const path of [
      '/service',
      '/flows?limit=1000',
      '/sources?limit=1000',
      `/flows/${flowId}/segments?limit=1000&verbose_storage=true`,
      '/service/storage-backends',
      '/service/profiles?limit=1000',
      '/flow-delete-requests?limit=1000',
    ])
      expectStatus(await app.get(path), 200)
  })
})
