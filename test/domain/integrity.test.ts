import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { and, eq, everything, type Predicate } from '../../src/core/predicate.ts'
import { checkIntegrity, type Finding, REMEDIES, type Rule, repairFinding } from '../../src/domain/integrity/index.ts'
import type { Row, TableName } from '../../src/storage/schema.ts'
import type { WriteTx } from '../../src/storage/tables.ts'
import { object } from '../support/answers.ts'
import { openApp, primaryStorage, type TestApp } from '../support/app.ts'
import { allocate, createFlow, expectStatus, multiFlow, postSegment, register, seconds, uuid, videoFlow } from '../support/fixtures.ts'
import { call } from '../support/trash.ts'

// Much of the time of these tests is the disk's.
setDefaultTimeout(120_000)

let app: TestApp
beforeEach(async () => {
  app = await openApp({ settings: { strict: false, softDeleteDefault: true } })
})
afterEach(() => app.close())

const check = (): Promise<Finding[]> => Array.fromAsync(checkIntegrity(app.deps))

const rowOf = async <N extends TableName>(table: N, where: Predicate): Promise<Row<N>> => {
  const { rows } = await app.deps.tables.read((tx) => tx.list(table, { where, limit: 1 }))
  if (!rows[0]) throw new Error(`no such row of ${table}`)
  return rows[0]
}

interface Store {
  readonly flow: Row<'flows'>
  readonly trashed: Row<'flows'>
  readonly segment: Row<'segments'>
  /** Its object has bytes of ours and begins with `init`. */
  readonly stored: Row<'objects'>
  readonly init: string
  readonly collector: string
  readonly webhook: string
}

/** Something of everything, and nothing wrong with it. */
const makeStore = async (): Promise<Store> => {
  const essence_parameters = { frame_width: 16, frame_height: 16, frame_rate: { numerator: 25 }, init_segments: true }
  const { id } = await createFlow(
    app,
    videoFlow({ container: 'video/mp4', essence_parameters, tags: { kind: 'x', list: ['a', 'b'], none: [] } }),
  )
  const [init, ...media] = (await allocate(app, id, { limit: 4 })).map((allocated) => allocated.object_id)
  const segments = media.map((object_id, index) => ({ object_id, init_object_id: init, timerange: seconds(3)[index] }))
  expectStatus(await postSegment(app, id, segments), 201)
  await call(app, 'DELETE', `/flows/${id}/segments?timerange=[0:0_1:0)`, 204)
  const { id: collector } = await createFlow(app, multiFlow({ flow_collection: [{ id, role: 'picture' }] }))
  const { id: gone } = await createFlow(app, videoFlow({ tags: { kind: 'gone' } }))
  await register(app, gone, ...seconds(2))
  await call(app, 'PUT', `/collections/${collector}/flows/${gone}`, 201, {})
  await call(app, 'DELETE', `/flows/${gone}`, 204)
  const hook = { url: 'https://receiver.example.com/hook', events: ['flows/created'], tags: { kind: 'hook' } }
  const webhook = String(object(expectStatus(await app.post('/service/webhooks', hook), 201)).id)
  const flow = await rowOf('flows', eq('id', id))
  const segment = await rowOf('segments', and(eq('flow_id', id), eq('timeline_id', flow.timeline_id)))
  const stored = await rowOf('objects', eq('id', segment.object_id))
  return { flow, trashed: await rowOf('flows', eq('id', gone)), segment, stored, init: init ?? '', collector, webhook }
}

type Plant = (tx: WriteTx, store: Store) => Promise<unknown>
interface Fault {
  readonly name: string
  readonly rule: Rule
  readonly plant: Plant
  /** Whether --repair puts it right. */
  readonly repaired?: boolean
  /** What else follows from it. */
  readonly also?: readonly Rule[]
}

const live = (store: Store) => and(eq('id', store.flow.id), eq('deletion_id', ''))
const stretch = (requestId: string, ...rest: readonly string[]) => JSON.stringify([['5000000000', '6000000000', requestId, ...rest]])
const everyTag = (id: string) => and(eq('entity_id', id), eq('name', 'kind'))

const FAULTS: readonly Fault[] = [
  {
    name: 'a segment that overlaps the next one',
    rule: 'segments-overlap',
    plant: (tx, { segment, stored }) => {
      const start_ns = segment.start_ns + 500_000_000n
      return put(tx, 'segments', {
        ...segment,
        start_ns,
        end_ns: start_ns + 100_000_000n,
        timerange: '[1:500000000_1:600000000)',
        object_id: stored.id,
      })
    },
    also: ['flow-extent', 'reference-count'],
  },
  {
    name: 'a segment that lies elsewhere than its text says',
    rule: 'segment-place',
    plant: (tx, { segment, flow }) =>
      tx.update('segments', and(eq('flow_id', flow.id), eq('start_ns', segment.start_ns), eq('timeline_id', flow.timeline_id)), {
        end_ns: segment.end_ns - 1n,
      }),
  },
  {
    name: 'a segment whose object is not there',
    rule: 'segment-object',
    plant: (tx, { stored }) => tx.delete('objects', eq('id', stored.id)),
    also: ['instance-index', 'reference-count'],
  },
  {
    name: 'segments of a timeline that belongs to nothing',
    rule: 'segments-of-nobody',
    plant: (tx, { segment }) => put(tx, 'segments', { ...segment, timeline_id: uuid() }),
    also: ['reference-count'],
  },
  {
    name: 'an extent that is not that of the segments',
    rule: 'flow-extent',
    plant: (tx, store) => tx.update('flows', live(store), { end_ns: 1n }),
    repaired: true,
  },
  {
    name: 'a wrong count of segments, in the trash',
    rule: 'flow-extent',
    plant: (tx, { trashed }) => tx.update('flows', eq('id', trashed.id), { segment_count: 7n }),
    repaired: true,
  },
  {
    name: 'a hidden stretch without a request',
    rule: 'hidden-stretch',
    plant: (tx, store) => tx.update('flows', live(store), { hidden: stretch(uuid()) }),
  },
  {
    name: 'a hidden stretch for a restore that does nothing',
    rule: 'hidden-stretch',
    plant: (tx, store) => tx.update('flows', live(store), { hidden: stretch(store.trashed.deletion_id, 'restore') }),
  },
  {
    name: 'a flow without its source',
    rule: 'flow-source',
    plant: (tx, { flow }) => tx.delete('sources', eq('id', flow.source_id)),
    also: ['tag-rows'],
  },
  {
    name: 'a source without a flow',
    rule: 'source-without-flow',
    plant: async (tx, { flow }) => {
      const source = await tx.find('sources', [flow.source_id, ''])
      if (source) await put(tx, 'sources', { ...source, id: uuid(), tags: '{}' })
    },
  },
  {
    name: 'an object that is counted too often',
    rule: 'reference-count',
    plant: (tx, { stored, flow }) =>
      tx.update('object_refs', and(eq('object_id', stored.id), eq('timeline_id', flow.timeline_id)), { count: 5n }),
    repaired: true,
    also: ['reference-count'],
  },
  {
    name: 'a count without any use',
    rule: 'reference-count',
    plant: (tx, { stored, flow }) => put(tx, 'object_refs', { object_id: stored.id, flow_id: flow.id, timeline_id: uuid(), count: 1n }),
    repaired: true,
    also: ['reference-count'],
  },
  {
    name: 'an init object that is not counted',
    rule: 'reference-count',
    plant: (tx, { init, flow }) => tx.delete('object_refs', and(eq('object_id', init), eq('timeline_id', flow.timeline_id))),
    repaired: true,
  },
  {
    name: 'an object that nothing refers to',
    rule: 'object-unused',
    plant: (tx, { stored }) => put(tx, 'objects', { ...stored, id: 'nobody', instances: '[]', init_object_id: null }),
  },
  {
    name: 'an allocation that never runs out',
    rule: 'object-state',
    plant: (tx, { stored }) => put(tx, 'objects', { ...stored, id: 'nobody', state: 'allocated', instances: '[]', init_object_id: null }),
  },
  {
    name: 'an object that begins with none',
    rule: 'object-state',
    plant: (tx, { init }) => tx.update('objects', eq('id', init), { kind: 'media' }),
    also: ['object-state', 'object-state', 'reference-count', 'reference-count'],
  },
  {
    name: 'bytes that the index does not list',
    rule: 'instance-index',
    plant: (tx, { stored }) => tx.delete('object_instances', eq('object_id', stored.id)),
    repaired: true,
  },
  {
    name: 'a place that is listed for an object that does not lie there',
    rule: 'instance-index',
    plant: (tx, { stored }) =>
      put(tx, 'object_instances', { storage_id: primaryStorage, media_key: 'tams/x', object_id: stored.id, size: null, created: 0n }),
    repaired: true,
  },
  {
    name: 'an instance that waits for a copy nobody makes',
    rule: 'copy-state',
    plant: (tx, { stored }) => tx.update('objects', eq('id', stored.id), { instances: stored.instances.replace('"ready"', '"copying"') }),
  },
  {
    name: 'bytes in use that are about to be removed',
    rule: 'removal-in-use',
    plant: async (tx, { stored }) => {
      const { rows } = await tx.list('object_instances', { where: eq('object_id', stored.id), limit: 1 })
      for (const { storage_id, media_key, object_id } of rows)
        await put(tx, 'media_removals', { id: `${storage_id} ${media_key}`, storage_id, media_key, object_id, created: app.clock.nowUs() })
    },
    repaired: true,
  },
  {
    name: 'a tag of a flow that cannot be found',
    rule: 'tag-rows',
    plant: (tx, { flow }) => tx.delete('tags', everyTag(flow.id)),
    repaired: true,
  },
  {
    name: 'a tag in the trash with another value',
    rule: 'tag-rows',
    plant: (tx, { trashed }) => tx.update('tags', everyTag(trashed.id), { value: 'other' }),
    repaired: true,
  },
  {
    name: 'a tag of a webhook that is not set',
    rule: 'tag-rows',
    plant: (tx, { webhook }) => tx.update('webhooks', eq('id', webhook), { tags: '{}' }),
    repaired: true,
  },
  {
    name: 'tags of a source that is not there',
    rule: 'tag-rows',
    plant: (tx) =>
      put(tx, 'tags', {
        entity_type: 'source',
        entity_id: uuid(),
        deletion_id: '',
        name: 'a',
        position: 0,
        value_prefix: 'b',
        value: 'b',
        empty_list: false,
      }),
    repaired: true,
  },
  {
    name: 'a tag of a segment that cannot be found',
    rule: 'tag-rows',
    plant: async (tx, { segment: { flow_id, timeline_id, start_ns } }) => {
      const key = { flow_id, timeline_id, start_ns }
      await tx.update('segments', and(...Object.entries(key).map(([column, value]) => eq(column, value))), {
        tags: '{"a":"b"}',
        tag_id: 'x',
      })
    },
    repaired: true,
  },
  {
    name: 'a tag of no segment',
    rule: 'tag-rows',
    plant: (tx) => {
      const tag = { name: 'a', position: 0, value_prefix: 'b', value: 'b', empty_list: false }
      return put(tx, 'tags', { entity_type: 'segment', entity_id: 'x', deletion_id: '', ...tag })
    },
    repaired: true,
  },
  {
    name: 'a membership that is not listed',
    rule: 'collection-rows',
    plant: (tx, { collector }) => tx.delete('collections', and(eq('via', collector), eq('deletion_id', ''), eq('entity_type', 'source'))),
    repaired: true,
  },
  {
    name: 'a membership that does not follow from any flow',
    rule: 'collection-rows',
    plant: (tx, { flow, collector }) =>
      put(tx, 'collections', {
        entity_type: 'flow',
        parent_id: flow.id,
        deletion_id: '',
        via: flow.id,
        position: 0,
        child_id: collector,
        role: null,
      }),
    repaired: true,
  },
  {
    name: 'a named membership of a source that is not there',
    rule: 'collection-rows',
    plant: (tx, { flow }) =>
      put(tx, 'collections', {
        entity_type: 'source',
        parent_id: flow.source_id,
        deletion_id: '',
        via: '',
        position: 0,
        child_id: uuid(),
        role: null,
      }),
    repaired: true,
  },
  {
    name: 'a membership kept for a deletion that has neither side',
    rule: 'collection-rows',
    plant: (tx, { flow, collector }) =>
      put(tx, 'collections', {
        entity_type: 'flow',
        parent_id: collector,
        deletion_id: uuid(),
        via: collector,
        position: 9,
        child_id: flow.id,
        role: null,
      }),
    repaired: true,
  },
  {
    name: 'a flow in the trash without its mark',
    rule: 'trash-mark',
    plant: (tx, { trashed }) => tx.update('flows', eq('id', trashed.id), { trashed: null }),
    repaired: true,
  },
  {
    name: 'a flow in the trash of a deletion that is not there',
    rule: 'trash-of-nobody',
    plant: (tx, { trashed }) => tx.delete('deletions', eq('id', trashed.deletion_id)),
    also: ['trash-of-nobody'],
  },
  {
    name: 'a deletion that is restored and has nothing to do',
    rule: 'deletion-state',
    plant: (tx, { trashed }) => tx.update('deletions', eq('id', trashed.deletion_id), { status: 'restoring' }),
  },
  {
    name: 'a webhook without a place in the log',
    rule: 'webhook-cursor',
    plant: (tx) => tx.delete('webhook_cursors', everything),
    repaired: true,
  },
  {
    name: 'a webhook beyond the end of the log',
    rule: 'webhook-cursor',
    plant: (tx) => tx.update('webhook_cursors', everything, { position: 1_000_000n }),
    repaired: true,
  },
  {
    name: 'the place of a webhook that is gone',
    rule: 'webhook-cursor',
    plant: (tx) => put(tx, 'webhook_cursors', { webhook_id: uuid(), position: 0n, attempts: 0, next_attempt: 0n }),
    repaired: true,
  },
  {
    name: 'attempts of a webhook that is gone',
    rule: 'delivery-of-nobody',
    plant: (tx) => {
      const nothing = { flow_id: null, response_status: null, duration_ms: null, error: null, created: 0n, updated: 0n }
      return put(tx, 'deliveries', { id: 'x', webhook_id: uuid(), seq: 1n, status: 'failed', attempts: 1, next_attempt: 0n, ...nothing })
    },
    repaired: true,
  },
  { name: 'a gap in the log of events', rule: 'event-log', plant: (tx) => tx.delete('event_log', eq('seq', 2n)) },
  {
    name: 'a delete request that nobody works off',
    rule: 'work-waits',
    plant: (tx, { flow }) => {
      const nothing = { source_id: null, collected_by: null, start_ns: null, end_ns: null, object_id: null, deletion_id: null, error: null }
      const times = { created: 0n, updated: 0n, created_by: null, expiry: null, expiry_sort: -1n }
      const range = { timerange_to_delete: '_', timerange_remaining: '_', delete_flow: false, status: 'created' }
      return put(tx, 'deletion_requests', { id: uuid(), flow_id: flow.id, timeline_id: uuid(), ...nothing, ...times, ...range })
    },
  },
]

/** As somebody would who bypasses every rule. */
const put = async <N extends TableName>(tx: WriteTx, table: N, row: Row<N>): Promise<void> => {
  const cells = row as Readonly<Record<string, unknown>>
  await tx.lock([`source:${cells.id}`, `object:${cells.id}`, `object:${cells.object_id}`, `flow:${cells.flow_id}`])
  await tx.put(table, [row])
}

test('a store in order has no finding', async () => {
  await makeStore()
  expect(await check()).toEqual([])
})

test('an empty store has no finding', async () => {
  expect(await check()).toEqual([])
})

describe.each(FAULTS.map((each) => [each.name, each] as const))('%s', (_, { rule, plant, repaired = false, also = [] }) => {
  test(repaired ? 'is found, and repaired' : 'is found, and left to a person', async () => {
    const store = await makeStore()
    await app.deps.tables.write((tx) => plant(tx, store))
    const found = await check()
    expect(found.map((finding) => finding.rule).sort()).toEqual([rule, ...also].sort())
    for (const finding of found) expect(REMEDIES[finding.rule].length).toBeGreaterThan(10)
    for (const finding of found.filter((each) => each.rule === rule)) expect(await repairFinding(app.deps, finding)).toBe(repaired)
    if (!repaired) return
    for (const finding of await check()) await repairFinding(app.deps, finding)
    expect(await check()).toEqual([])
  })
})

test('every rule has a fault that breaks it', () => {
  expect([...new Set(FAULTS.map(({ rule }) => rule))].sort()).toEqual((Object.keys(REMEDIES) as Rule[]).sort())
})

test('a repair does nothing where the fault is gone by then', async () => {
  const store = await makeStore()
  await app.deps.tables.write((tx) => tx.update('flows', live(store), { segment_count: 9n }))
  const found = await check()
  await call(app, 'DELETE', `/flows/${store.flow.id}?soft_delete=false`, 204)
  for (const finding of found) await repairFinding(app.deps, finding)
  expect(await check()).toEqual([])
})

test('stores of many pages are looked at to their ends', async () => {
  const flows = Array.from({ length: 230 }, () => videoFlow({ tags: { kind: 'x' } }))
  for (const flow of flows) await createFlow(app, flow)
  await app.deps.tables.write((tx) => tx.delete('tags', eq('entity_type', 'flow')))
  expect((await check()).map(({ subject }) => subject).sort()).toEqual(flows.map(({ id }) => `flow ${id}`).sort())
})
