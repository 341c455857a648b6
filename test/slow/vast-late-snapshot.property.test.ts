import { afterAll, beforeAll, expect, test } from 'bun:test'
import fc from 'fast-check'
import { and, eq } from '../../src/core/predicate.ts'
import { TimeRange } from '../../src/core/time-range.ts'
import type { WriteTx } from '../../src/storage/tables.ts'
import { flowRow } from '../contract/table-rows.ts'
import { type Emulator, startEmulator } from '../emulators/vast/index.ts'
import { addFlow, addSegments, openWatched, pageOf, type ShownPage } from '../storage/vast/pages.ts'

let emulator: Emulator
let stores = 0
beforeAll(async () => {
  emulator = await startEmulator()
})
afterAll(() => emulator.close())

const FLOWS = ['f', 'g'] as const
const PLACES = 12

/** Changes of one flow; none takes a lock that its inserts do not demand. */
const CHANGES = {
  'add a segment': async (tx: WriteTx, flow: string, at: number) => {
    const [start, id] = [BigInt(10 * at), `${flow}-${10 * at}`]
    await tx.lock([`flow:${flow}`])
    const row = await tx.find('flows', [flow, ''])
    if (row && !(await tx.find('segments', [flow, row.timeline_id, start]))) await addSegments(tx, flow, [start], BigInt(id.length))
  },
  'remove a segment': (tx: WriteTx, flow: string, at: number) =>
    tx.delete('segments', and(eq('flow_id', flow), eq('start_ns', BigInt(10 * at)))),
  'change an object': async (tx: WriteTx, flow: string, at: number) => {
    const row = await tx.find('objects', [`${flow}-${10 * at}`, ''])
    if (row) await tx.update('objects', eq('id', row.id), { key_frame_count: (row.key_frame_count ?? 0n) + 1n })
  },
  'name the flow': (tx: WriteTx, flow: string, at: number) => tx.update('flows', eq('id', flow), { label: String(at) }),
  'make the flow anew': async (tx: WriteTx, flow: string, at: number) => {
    await tx.lock([`flow:${flow}`])
    await tx.put('flows', [flowRow(flow, { timeline_id: `${flow}'s ${at}`, label: `made ${at}` })])
  },
  'remove the flow': (tx: WriteTx, flow: string) => tx.delete('flows', eq('id', flow)),
} as const

type Step = { readonly what: keyof typeof CHANGES | 'page'; readonly flow: (typeof FLOWS)[number]; readonly at: number }
type Change = (tx: WriteTx, flow: string, at: number) => Promise<unknown>
const change = fc.constantFrom(...(Object.keys(CHANGES) as (keyof typeof CHANGES)[]))
const step: fc.Arbitrary<Step> = fc.record({
  what: fc.oneof({ weight: 3, arbitrary: fc.constant('page' as const) }, { weight: 1, arbitrary: change }),
  flow: fc.constantFrom(...FLOWS),
  at: fc.nat(PLACES - 1),
})

const pageAt = ({ flow, at }: Step) =>
  pageOf(flow, { limit: 1 + (at % 5), range: at % 2 === 0 ? TimeRange.eternity : TimeRange.of(BigInt(10 * at - 5), undefined) })

/** Pages through one replica, changes through another, with so few lock slots that flows and objects share them. */
const opened = async () => {
  const schema = `property-${++stores}`
  const watched = await openWatched(emulator, schema, 4)
  const other = await openWatched(emulator, schema)
  for (const flow of FLOWS) await other.store.write((tx) => addFlow(tx, flow, PLACES / 2))
  return { watched, other, close: () => Promise.all([watched.store.close(), other.store.close()]) }
}

test('whatever another replica changes between two pages, a page is what a transaction would read', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
      const { watched, other, close } = await opened()
      try {
        for (const each of steps) {
          if (each.what !== 'page') {
            const apply: Change = CHANGES[each.what]
            await other.store.write((tx) => apply(tx, each.flow, each.at))
          } else expect(await watched.store.read(pageAt(each))).toEqual(await other.store.read(pageAt(each)))
        }
      } finally {
        await close()
      }
    }),
    { numRuns: 6 },
  )
}, 120_000)

test('whatever another replica changes during a page, the page is one of the states since it was asked for', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 30 }), async (steps) => {
      const { watched, other, close } = await opened()
      try {
        const pages = steps.filter(({ what }) => what === 'page')
        // What each page is in each state, and which state was the last one known when a page was asked for and when it was answered.
        const states: (readonly (ShownPage | undefined)[])[] = []
        const look = async () => void states.push(await Promise.all(pages.map((each) => other.store.read(pageAt(each)))))
        const answers: {
          readonly place: number
          readonly asked: number
          readonly answered: number
          readonly shown: ShownPage | undefined
        }[] = []
        let writing = true
        const reader = async (from: number) => {
          for (let place = from; writing; place = (place + 1) % pages.length) {
            const each = pages[place]
            if (!each) return
            const asked = states.length - 1
            const shown = await watched.store.read(pageAt(each))
            answers.push({ place, asked, answered: states.length - 1, shown })
          }
        }
        await look()
        const readers = [reader(0), reader(pages.length >> 1)]
        for (const { what, flow, at } of steps) {
          if (what === 'page') continue
          const apply: Change = CHANGES[what]
          await other.store.write((tx) => apply(tx, flow, at))
          await look()
        }
        writing = false
        await Promise.all(readers)
        // The next state may be there before it is known here.
        for (const { place, asked, answered, shown } of answers)
          if (!states.slice(asked, answered + 2).some((state) => Bun.deepEquals(state[place], shown)))
            expect(states.slice(asked, answered + 2).map((state) => state[place])).toContainEqual(shown)
        expect(answers.length).toBeGreaterThan(0)
      } finally {
        await close()
      }
    }),
    { numRuns: 6 },
  )
}, 120_000)
