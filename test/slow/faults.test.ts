import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { TamsError } from '../../src/core/errors.ts'
import { TimeRange } from '../../src/core/time-range.ts'
import { type Context, seesEverything } from '../../src/domain/context.ts'
import { createDomain, type Domain } from '../../src/domain/index.ts'
import { restoreUseCases } from '../../src/domain/restore.ts'
import { type TableName, tables as tableDefinitions } from '../../src/storage/schema.ts'
import { allocationSweepWorker } from '../../src/workers/allocation-sweep.ts'
import { deletionWorker } from '../../src/workers/deletion-requests.ts'
import { mediaRemovalWorker } from '../../src/workers/media-removals.ts'
import { objectCopyWorker } from '../../src/workers/object-copies.ts'
import { purgeWorker } from '../../src/workers/purge.ts'
import { restoreWorker } from '../../src/workers/restores.ts'
import type { Worker } from '../../src/workers/worker.ts'
import { openApp, primaryStorage, secondaryStorage, type TestApp } from '../support/app.ts'
import { inconsistencies } from '../support/consistency.ts'
import { type FaultyTables, faultyTables, InjectedFault } from '../support/faulty-tables.ts'
import { allocateOne, createFlow, expectStatus, external, multiFlow, register, seconds, uuid, videoFlow } from '../support/fixtures.ts'
import { step, takeLease } from '../support/workers.ts'

const context: Context = {
  principal: { name: 'tester' },
  visible: seesEverything,
  requestId: 'a request',
  baseUrl: 'http://localhost',
}

let app: TestApp
let faulty: FaultyTables
let domain: Domain
/** Whose deletions are soft. */
let soft: Domain
let makeFault: () => Error

beforeEach(async () => {
  app = await openApp({ settings: { softDeleteDefault: false, asyncDeletionThreshold: 5 } })
  makeFault = () => new InjectedFault('an injected fault')
  faulty = faultyTables(app.deps.tables, () => makeFault())
  domain = createDomain({ ...app.deps, tables: faulty.tables })
  const settings = { ...app.deps.settings, strict: false, softDeleteDefault: true }
  soft = createDomain({ ...app.deps, tables: faulty.tables, settings })
})
afterEach(() => app.close())

/** What a scenario prepares: the request to make, and what has to hold once it has succeeded. */
interface Prepared {
  readonly act: () => Promise<unknown>
  readonly check: () => Promise<void>
}

const stepOf = (make: (deps: typeof app.deps & { tables: FaultyTables['tables'] }) => Worker) => async () => {
  const worker = make({ ...app.deps, tables: faulty.tables })
  const lease = await takeLease(app.deps.tables, app.clock, worker.name)
  return worker.step(lease, new AbortController().signal)
}
const status = async (path: string) => (await app.request('GET', path, { head: false })).status
const segmentCount = async (flow: string): Promise<number> => {
  const { items } = await domain.segments.list(context, flow, () => ({
    page: { limit: 1000 },
    timerange: TimeRange.eternity,
    includeObjectTimerange: false,
    urls: { verboseStorage: false, backendTags: [] },
  }))
  return items.length
}
const uploadTo = async (flow: string, id: string) => {
  const { put_url } = await allocateOne(app, flow, { object_ids: [id] })
  const headers = { 'content-type': 'video/mp2t', ...put_url.headers }
  expect((await app.fetch(put_url.url, { method: 'PUT', body: 'bytes', headers })).status).toBe(200)
}

const collected = async () => {
  const flow = await createFlow(app, videoFlow({ tags: { a: 'b', c: ['d', 'e'] } }))
  const parent = await createFlow(app, multiFlow({ flow_collection: [{ id: flow.id }] }))
  await register(app, flow.id, ...seconds(3))
  return { flow: flow.id, source: flow.source_id, parent: parent.id, act: () => soft.flows.deleteFlow(context, flow.id) }
}
const sourceOfTwo = async () => {
  const source_id = uuid()
  const one = await createFlow(app, videoFlow({ source_id }))
  const two = await createFlow(app, videoFlow({ source_id, tags: { a: 'b' } }))
  await createFlow(app, multiFlow({ flow_collection: [{ id: one.id }, { id: two.id }] }))
  await register(app, two.id, ...seconds(2))
  return { source: source_id, flows: [one.id, two.id], act: () => soft.sourceDeletion.deleteSource(context, source_id) }
}
const fewSegments = async () => {
  const { id } = await createFlow(app)
  await register(app, id, ...seconds(4))
  const timerange = TimeRange.parse('[1:0_3:0)')
  return { flow: id, timerange, act: () => soft.flows.deleteSegments(context, id, () => ({ timerange })) }
}

/** Eight segments in the trash, and a restore that is too large for one transaction. */
const manyTrashed = async () => {
  const { id } = await createFlow(app)
  await register(app, id, ...seconds(9))
  await soft.flows.deleteSegments(context, id, () => ({ timerange: TimeRange.parse('[1:0_9:0)') }))
  while (await step(app.deps, deletionWorker(app.deps, 3))) await Promise.resolve()
  const settings = { ...app.deps.settings, strict: false }
  const { segments } = restoreUseCases({ ...app.deps, tables: faulty.tables, settings }, 5)
  return { flow: id, ask: () => segments(context, id, () => ({ timerange: TimeRange.eternity })) }
}

const scenarios: Record<string, () => Promise<Prepared>> = {
  'a bulk post of segments with new, allocated, shared and refused objects': async () => {
    const { id } = await createFlow(app)
    const { id: other } = await createFlow(app)
    const [shared] = await register(app, other, '[0:0_1:0)')
    const { object_id } = await allocateOne(app, id)
    const body = [
      external('[0:0_1:0)'),
      { object_id, timerange: '[1:0_2:0)' },
      { object_id: shared, timerange: '[2:0_3:0)', ts_offset: '2:0' },
      external('[0:0_3:0)'),
      { object_id: uuid(), timerange: '[3:0_4:0)' },
    ]
    return {
      act: async () => expect(await domain.segments.post(context, id, () => body)).toHaveLength(2),
      check: async () => expect(await segmentCount(id)).toBe(3),
    }
  },
  'a bulk post across many segments': async () => {
    const { id } = await createFlow(app)
    await register(app, id, ...seconds(8))
    const body = [external('[-1:0_0:0)'), external('[7:0_8:0)'), external('[8:0_9:0)')]
    return {
      act: async () => expect(await domain.segments.post(context, id, () => body)).toHaveLength(1),
      check: async () => expect(await segmentCount(id)).toBe(10),
    }
  },
  'a post of segments where hidden ones lie': async () => {
    const { id } = await createFlow(app)
    await register(app, id, ...seconds(10))
    expectStatus(await app.delete(`/flows/${id}/segments`), 202)
    const body = [external('[2:500000000_4:0)'), external('[6:0_7:0)')]
    return {
      act: () => domain.segments.post(context, id, () => body),
      check: async () => expect(await segmentCount(id)).toBe(2),
    }
  },
  'a new flow with a new source, tags and a collection': async () => {
    const member = await createFlow(app)
    const body = multiFlow({ tags: { a: 'b', c: ['d', 'e'] }, flow_collection: [{ id: member.id, role: 'video' }] })
    return {
      act: () => domain.flows.put(context, body.id, () => body),
      check: async () => expect([await status(`/flows/${body.id}`), await status(`/sources/${body.source_id}`)]).toEqual([200, 200]),
    }
  },
  'a changed flow that moves to a new source': async () => {
    const flow = await createFlow(app, videoFlow({ tags: { a: 'b', keep: 'me' }, label: 'before' }))
    const collector = await createFlow(app, multiFlow({ flow_collection: [{ id: flow.id }] }))
    const changed = { ...flow, source_id: uuid(), tags: { keep: 'me', c: ['d'] }, label: 'after' }
    return {
      act: () => domain.flows.put(context, flow.id, () => changed),
      check: async () => {
        expect([await status(`/sources/${flow.source_id}`), await status(`/sources/${changed.source_id}`)]).toEqual([404, 200])
        expect(await status(`/flows/${collector.id}`)).toBe(200)
      },
    }
  },
  'a deletion of a small flow that is collected': async () => {
    const flow = await createFlow(app, videoFlow({ tags: { a: 'b' } }))
    await createFlow(app, multiFlow({ flow_collection: [{ id: flow.id }] }))
    const objects = await register(app, flow.id, ...seconds(3))
    return {
      act: () => domain.flows.deleteFlow(context, flow.id),
      check: async () => expect([await status(`/flows/${flow.id}`), await status(`/objects/${objects[0]}`)]).toEqual([404, 404]),
    }
  },
  'a deletion of a large flow': async () => {
    const flow = await createFlow(app)
    await register(app, flow.id, ...seconds(8))
    return {
      act: async () => expect(await domain.flows.deleteFlow(context, flow.id)).toMatchObject({ status: 'created' }),
      check: async () => expect(await status(`/flows/${flow.id}`)).toBe(404),
    }
  },
  'a deletion of a few segments': async () => {
    const { id } = await createFlow(app)
    const objects = await register(app, id, ...seconds(4))
    const timerange = TimeRange.parse('[1:0_3:0)')
    return {
      act: () => domain.flows.deleteSegments(context, id, () => ({ timerange })),
      check: async () => expect([await segmentCount(id), await status(`/objects/${objects[1]}`)]).toEqual([2, 404]),
    }
  },
  'a deletion of many segments': async () => {
    const { id } = await createFlow(app)
    await register(app, id, ...seconds(9))
    const timerange = TimeRange.parse('[1:0_9:0)')
    return {
      act: async () => expect(await domain.flows.deleteSegments(context, id, () => ({ timerange }))).toMatchObject({ status: 'created' }),
      check: async () => expect(await segmentCount(id)).toBe(1),
    }
  },
  'an allocation': async () => {
    const { id } = await createFlow(app)
    const body = { object_ids: [uuid(), uuid()] }
    return {
      act: async () => expect((await domain.flowStorage.allocate(context, id, () => body)).media_objects).toHaveLength(2),
      check: async () => void expectStatus(await app.post(`/flows/${id}/storage`, body), 400),
    }
  },
  'a step of a deletion of segments': async () => {
    const { id } = await createFlow(app)
    await register(app, id, ...seconds(9))
    expectStatus(await app.delete(`/flows/${id}/segments?timerange=[0:0_8:0)`), 202)
    return {
      act: stepOf((deps) => deletionWorker(deps, 3)),
      check: async () => {
        while (await step(app.deps, deletionWorker(app.deps, 3))) await Promise.resolve()
        expect(await segmentCount(id)).toBe(1)
      },
    }
  },
  'a step of a deletion of a flow': async () => {
    const { id } = await createFlow(app)
    const [first] = await register(app, id, ...seconds(9))
    expectStatus(await app.delete(`/flows/${id}`), 202)
    return {
      act: stepOf((deps) => deletionWorker(deps, 3)),
      check: async () => {
        expect(await status(`/objects/${first}`)).toBe(404)
        while (await step(app.deps, deletionWorker(app.deps, 3))) await Promise.resolve()
      },
    }
  },
  'a soft deletion of a flow that is collected': async () => {
    const { flow, act } = await collected()
    return { act, check: async () => expect([await status(`/flows/${flow}`), await segmentCount(flow)]).toEqual([404, 0]) }
  },
  'a restore of a flow that was collected': async () => {
    const { flow, source, parent, act } = await collected()
    await act()
    return {
      act: () => soft.restore.flow(context, flow, () => ({})),
      check: async () => {
        expect([await segmentCount(flow), await status(`/sources/${source}`)]).toEqual([3, 200])
        expect((await domain.flows.row(context, parent)).flow_collection).toContain(flow)
      },
    }
  },
  'a soft deletion of a large flow': async () => {
    const { id } = await createFlow(app, videoFlow({ tags: { a: 'b' } }))
    await register(app, id, ...seconds(8))
    return {
      act: async () => expect(await soft.flows.deleteFlow(context, id)).toMatchObject({ status: 'created' }),
      check: async () => expect([await status(`/flows/${id}`), await segmentCount(id)]).toEqual([404, 0]),
    }
  },
  'a soft deletion of a source': async () => {
    const { source, act } = await sourceOfTwo()
    return { act, check: async () => expect(await status(`/sources/${source}`)).toBe(404) }
  },
  'a restore of a source': async () => {
    const { source, flows, act } = await sourceOfTwo()
    await act()
    return {
      act: () => soft.restore.source(context, source, () => ({})),
      check: async () => expect(await Promise.all(flows.map((flow) => segmentCount(flow)))).toEqual([0, 2]),
    }
  },
  'a soft deletion of a few segments': async () => {
    const { flow, act } = await fewSegments()
    return { act, check: async () => expect(await segmentCount(flow)).toBe(2) }
  },
  'a restore of a few segments': async () => {
    const { flow, timerange, act } = await fewSegments()
    await act()
    return {
      act: () => soft.restore.segments(context, flow, () => ({ timerange })),
      check: async () => expect(await segmentCount(flow)).toBe(4),
    }
  },
  'a soft deletion of many segments': async () => {
    const { id } = await createFlow(app)
    await register(app, id, ...seconds(9))
    const timerange = TimeRange.parse('[1:0_9:0)')
    return {
      act: async () => expect(await soft.flows.deleteSegments(context, id, () => ({ timerange }))).toMatchObject({ status: 'created' }),
      check: async () => expect(await segmentCount(id)).toBe(1),
    }
  },
  'a step that carries segments to the trash': async () => {
    const { id } = await createFlow(app)
    await register(app, id, ...seconds(9))
    await soft.flows.deleteSegments(context, id, () => ({ timerange: TimeRange.parse('[0:0_8:0)') }))
    return {
      act: stepOf((deps) => deletionWorker(deps, 3)),
      check: async () => {
        while (await step(app.deps, deletionWorker(app.deps, 3))) await Promise.resolve()
        await soft.restore.segments(context, id, () => ({ timerange: TimeRange.eternity }))
        expect(await segmentCount(id)).toBe(9)
      },
    }
  },
  'a step that deletes segments of one object': async () => {
    const { id } = await createFlow(app)
    const [shared] = await register(app, id, '[0:0_1:0)')
    const uses = seconds(8, 1).map((timerange, at) => ({ object_id: shared, timerange, ts_offset: `${at + 1}:0` }))
    expectStatus(await app.post(`/flows/${id}/segments`, uses), 201)
    await soft.flows.deleteSegments(context, id, () => ({ timerange: TimeRange.eternity, objectId: shared ?? '' }))
    return {
      act: stepOf((deps) => deletionWorker(deps, 3)),
      check: async () => {
        while (await step(app.deps, deletionWorker(app.deps, 3))) await Promise.resolve()
        expect(await segmentCount(id)).toBe(0)
      },
    }
  },
  'a restore of segments that a worker has to bring back': async () => {
    const { flow, ask } = await manyTrashed()
    return {
      act: ask,
      check: async () => {
        expect(await segmentCount(flow)).toBe(1)
        while (await step(app.deps, restoreWorker(app.deps, 3))) await Promise.resolve()
        expect(await segmentCount(flow)).toBe(9)
      },
    }
  },
  // Two steps carry, the third opens the curtain: the first, and the last.
  'a step that carries segments back from the trash': async () => {
    const { flow, ask } = await manyTrashed()
    await ask()
    return {
      act: stepOf((deps) => restoreWorker(deps, 3)),
      check: async () => {
        expect(await segmentCount(flow)).toBe(1)
        while (await step(app.deps, restoreWorker(app.deps, 3))) await Promise.resolve()
        expect(await segmentCount(flow)).toBe(9)
      },
    }
  },
  'the step that opens the curtain before restored segments': async () => {
    const { flow, ask } = await manyTrashed()
    await ask()
    for (let n = 0; n < 2; n++) await step(app.deps, restoreWorker(app.deps, 3))
    expect(await segmentCount(flow)).toBe(1)
    return {
      act: stepOf((deps) => restoreWorker(deps, 3)),
      check: async () => {
        expect(await segmentCount(flow)).toBe(9)
        while (await step(app.deps, restoreWorker(app.deps, 3))) await Promise.resolve()
        expect(await soft.deletions.list(context, { flowId: flow, status: 'restored' }, {})).toMatchObject({ items: [{ entity_id: flow }] })
      },
    }
  },
  'a step that tells of restored segments': async () => {
    const { id } = await createFlow(app)
    await register(app, id, ...seconds(9))
    await soft.flows.deleteFlow(context, id)
    while (await step(app.deps, deletionWorker(app.deps, 3))) await Promise.resolve()
    await soft.restore.flow(context, id, () => ({}))
    return {
      act: stepOf((deps) => restoreWorker(deps, 3)),
      check: async () => {
        while (await step(app.deps, restoreWorker(app.deps, 3))) await Promise.resolve()
        expect(await soft.deletions.list(context, { flowId: id, status: 'restored' }, {})).toMatchObject({ items: [{ entity_id: id }] })
      },
    }
  },
  'a purge': async () => {
    const member = await createFlow(app, videoFlow({ tags: { a: 'b' } }))
    const flow = await createFlow(app, multiFlow({ source_id: uuid(), flow_collection: [{ id: member.id }] }))
    await register(app, member.id, ...seconds(4))
    await soft.flows.deleteSegments(context, member.id, () => ({ timerange: TimeRange.parse('[0:0_1:0)') }))
    for (const { id } of [member, flow]) await soft.flows.deleteFlow(context, id)
    return {
      act: async () => {
        for (let rest = true; rest; ) rest = await stepOf((deps) => purgeWorker({ ...deps, retentionMs: 0 }, 2))()
      },
      check: async () => {
        const left = async (table: TableName) => app.deps.tables.read((tx) => tx.count(table, { kind: 'and', terms: [] }))
        for (const table of ['deletions', 'segments', 'object_refs'] as const) expect(await left(table)).toBe(0)
      },
    }
  },
  'a request for a copy': async () => {
    const { id } = await createFlow(app)
    const object_id = uuid()
    await uploadTo(id, object_id)
    expectStatus(await app.post(`/flows/${id}/segments`, { object_id, timerange: '[0:0_1:0)' }), 201)
    return {
      act: () => domain.objects.add(context, object_id, () => ({ storage_id: secondaryStorage })),
      check: async () => void expectStatus(await app.post(`/objects/${object_id}/instances`, { storage_id: secondaryStorage }), 400),
    }
  },
  'a copy': async () => {
    const { id } = await createFlow(app)
    const object_id = uuid()
    await uploadTo(id, object_id)
    expectStatus(await app.post(`/flows/${id}/segments`, { object_id, timerange: '[0:0_1:0)' }), 201)
    expectStatus(await app.post(`/objects/${object_id}/instances`, { storage_id: secondaryStorage }), 201)
    return {
      act: async () => {
        app.clock.advance(601)
        return stepOf(objectCopyWorker)()
      },
      check: async () => {
        app.clock.advance(601)
        await step(app.deps, objectCopyWorker(app.deps))
        expect(await status(`/objects/${object_id}?accept_storage_ids=${secondaryStorage}`)).toBe(200)
        expectStatus(await app.delete(`/objects/${object_id}/instances?storage_id=${primaryStorage}`), 204)
      },
    }
  },
  'a removal of an instance': async () => {
    const { id } = await createFlow(app)
    const object_id = uuid()
    await uploadTo(id, object_id)
    const urls = [{ url: 'https://cdn.example.com/x', label: 'cdn' }]
    expectStatus(await app.post(`/flows/${id}/segments`, { object_id, timerange: '[0:0_1:0)', get_urls: urls }), 201)
    return {
      act: () => domain.objects.remove(context, object_id, { storageId: primaryStorage }),
      check: async () => expect(await status(`/objects/${object_id}`)).toBe(200),
    }
  },
  'the sweep of an allocation': async () => {
    const { id } = await createFlow(app)
    const object_id = uuid()
    await uploadTo(id, object_id)
    app.clock.advance(2 * 3600)
    return {
      act: stepOf(allocationSweepWorker),
      check: async () => expect(await app.deps.tables.read((tx) => tx.find('objects', [object_id, '']))).toBeUndefined(),
    }
  },
  'the removal of bytes': async () => {
    const { id } = await createFlow(app)
    await uploadTo(id, uuid())
    app.clock.advance(2 * 3600)
    await step(app.deps, allocationSweepWorker(app.deps))
    return {
      act: stepOf(mediaRemovalWorker),
      check: async () =>
        expect(await app.deps.tables.read((tx) => tx.list('media_removals', { where: { kind: 'and', terms: [] }, limit: 1 }))).toEqual({
          rows: [],
        }),
    }
  },
}

/** Of every table but that of leases, which the tests themselves write. The log is read first: an engine may number it behind the writes. */
const versions = () =>
  app.deps.tables.read(async (tx) => {
    await tx.readLog(0n, 1)
    const all: Record<string, string> = {}
    for (const name of Object.keys(tableDefinitions) as TableName[]) if (name !== 'leases') all[name] = await tx.version(name)
    return all
  })

/** In turn: one that nobody expects, and one that callers are told of. */
const faults: readonly (() => Error)[] = [
  () => new TamsError('unavailable', 'the store is busy'),
  () => new InjectedFault('an injected fault'),
]

/** Every call, unless a run on a slow engine asks for every so many only; odd, so that both faults take their turn. */
const STRIDE = Number(process.env.TAMS_TEST_FAULT_STRIDE ?? 1)

/** A copy that fails is postponed, which is a write of its own; a purge is several. */
const recovers: ReadonlySet<string> = new Set(['a copy', 'a purge'])

describe('a fault in every call in turn', () => {
  test.each(Object.keys(scenarios))(
    'of %s leaves nothing half done, and the request can be repeated',
    async (name) => {
      for (let n = 1; ; n += STRIDE) {
        if (n > 200) throw new Error('no end of calls')
        const { act, check } = await (scenarios[name] ?? Promise.reject)()
        const before = await versions()
        makeFault = faults[n % 2] ?? makeFault
        faulty.arm(n)
        const outcome = await act().then(
          () => 'succeeded',
          (error: unknown) => error,
        )
        const injected = faulty.calls >= n
        faulty.arm(0)
        expect(await inconsistencies(app.deps.tables)).toEqual([])
        if (!injected) {
          expect(outcome).toBe('succeeded')
          expect(n).toBeGreaterThan(2)
          await check()
          return
        }
        if (!recovers.has(name)) {
          expect(outcome).toMatchObject({ message: makeFault().message })
          expect(await versions()).toEqual(before)
        }
        await act()
        await check()
        expect(await inconsistencies(app.deps.tables)).toEqual([])
      }
    },
    300_000,
  )
})

describe('a re-use of an object and the deletion of its last reference', () => {
  test.each([
    ['the deletion first', false],
    ['the re-use first', true],
  ])('with %s leave it either whole or gone', async (_, reuseFirst) => {
    const { id: first } = await createFlow(app)
    const { id: second } = await createFlow(app)
    const object_id = uuid()
    await uploadTo(first, object_id)
    expectStatus(await app.post(`/flows/${first}/segments`, { object_id, timerange: '[0:0_1:0)' }), 201)
    const remove = () => domain.flows.deleteSegments(context, first, () => ({ timerange: TimeRange.eternity }))
    const reuse = () => domain.segments.post(context, second, () => ({ object_id, timerange: '[0:0_1:0)' }))
    // Asked for at once, in this order; an engine that runs works side by side may finish them in another.
    const asked = reuseFirst ? { reused: reuse(), removed: remove() } : { removed: remove(), reused: reuse() }
    await asked.removed
    const whole = await asked.reused.then(
      () => true,
      () => false,
    )
    expect(await status(`/objects/${object_id}`)).toBe(whole ? 200 : 404)
    expect(await inconsistencies(app.deps.tables)).toEqual([])
    await step(app.deps, mediaRemovalWorker(app.deps))
    let stored = 0
    for (const { store } of app.deps.backends) for await (const _key of store.list({})) stored++
    expect(stored).toBe(whole ? 1 : 0)
  })

  test('by a delete request: what is taken up again between its steps stays', async () => {
    const { id: first } = await createFlow(app)
    const { id: second } = await createFlow(app)
    const objects = await register(app, first, ...seconds(9))
    expectStatus(await app.delete(`/flows/${first}`), 202)
    await step(app.deps, deletionWorker(app.deps, 3))
    const [gone, kept] = [objects[0], objects[5]]
    expectStatus(await app.post(`/flows/${second}/segments`, { object_id: gone, timerange: '[0:0_1:0)' }), 400)
    expectStatus(await app.post(`/flows/${second}/segments`, { object_id: kept, timerange: '[5:0_6:0)' }), 201)
    while (await step(app.deps, deletionWorker(app.deps, 3))) expect(await inconsistencies(app.deps.tables)).toEqual([])
    expect(await status(`/objects/${kept}`)).toBe(200)
    expect(await inconsistencies(app.deps.tables)).toEqual([])
  })
})
