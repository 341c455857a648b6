import { expect, test } from 'bun:test'
import { everything } from '../../../src/core/predicate.ts'
import type { Row } from '../../../src/storage/schema.ts'
import type { SqliteTables } from '../../../src/storage/sqlite/index.ts'
import { columnBuilder } from '../../../src/storage/sqlite/scan-columns.ts'
import { KeyCursor } from '../../../src/storage/sqlite/scan-cursor.ts'
import { planScan } from '../../../src/storage/sqlite/scan-plan.ts'
import type { KeyPlan, ScanSpec } from '../../../src/storage/sqlite/scan-protocol.ts'
import { ScanStatements } from '../../../src/storage/sqlite/scan-statements.ts'
import { tableInfo } from '../../../src/storage/sqlite/table-info.ts'
import { kindOfColumn } from '../../../src/storage/table-facts.ts'
import { segmentRow } from '../../contract/table-rows.ts'
import { temporaryStores } from './support.ts'

const stores = temporaryStores()
const info = tableInfo('segments')

const specOf = (columns: readonly string[], where = '1'): ScanSpec => {
  const column = (name: string) => ({ name, kind: kindOfColumn(info, name) })
  const taken = new Int32Array(new SharedArrayBuffer(4))
  return {
    table: 'segments',
    key: info.key.map(column),
    columns: columns.map(column),
    where,
    params: [],
    condition: everything,
    tested: undefined,
    taken,
  }
}

const storeOf = async (rows: readonly Row<'segments'>[]): Promise<SqliteTables> => {
  const tables = await stores.open()
  await tables.write((tx) => tx.insert('segments', rows))
  return tables
}

const planned = ({ connection }: SqliteTables, spec: ScanSpec): KeyPlan => {
  const statements = new ScanStatements(connection.db, spec)
  const plan = planScan(statements, spec)
  statements.close()
  return plan
}

/** Read by two cursors in turn, a few rows at a time, as text. */
const readByTwo = (tables: SqliteTables, spec: ScanSpec, plan: KeyPlan): string[] => {
  const cursors = [1, 2].map(() => new KeyCursor(new ScanStatements(tables.connection.db, spec), spec, plan))
  const found: string[] = []
  for (let busy = true; busy; ) {
    busy = false
    for (const cursor of cursors) {
      const builders = spec.columns.map(({ kind }) => columnBuilder(kind, 7))
      const count = cursor.read(builders, 7) ?? 0
      busy ||= count > 0
      const columns = builders.map((builder) => builder.finish())
      for (let row = 0; row < count; row++)
        found.push(
          columns
            .map(({ data, dictionary }) => {
              if (!dictionary) return String(data[row])
              const code = Number(data[row])
              return Buffer.from(dictionary.bytes.subarray(dictionary.offsets[code], dictionary.offsets[code + 1])).toString()
            })
            .join(' '),
        )
    }
  }
  for (const cursor of cursors) cursor.close()
  return found
}

const segments = (flows: readonly string[], each: number, timelines = ['t']): Row<'segments'>[] =>
  flows.flatMap((flow) =>
    timelines.flatMap((timeline) =>
      Array.from({ length: each }, (_, i) =>
        segmentRow(flow, BigInt(i * 10 - 50), { timeline_id: timeline, object_id: `${flow}${timeline}${i}` }),
      ),
    ),
  )

const flowIds = (count: number): string[] => Array.from({ length: count }, (_, i) => Bun.SHA256.hash(`${i}`, 'hex').slice(0, 8))

test.each<[string, readonly Row<'segments'>[], { readonly shared: boolean }]>([
  ['are none', [], { shared: false }],
  ['have one flow and timeline each', segments(flowIds(300), 2), { shared: true }],
  ['lie in long timelines', segments(flowIds(20), 60, ['t', 'u']), { shared: true }],
  ['belong to a single timeline', segments(['f'], 500), { shared: true }],
  ['belong to two flows', segments(['f', 'g'], 100), { shared: true }],
  [
    'have ids that begin with each other or leave the basic plane',
    segments(['a', 'aa', 'a\u{10ffff}', 'a\u{10ffff}b', 'a\ud7ff', 'a\ue000', 'a\u0001', 'é', '😀', '😁x', ''], 3),
    { shared: true },
  ],
])('two cursors read each row once when rows %s', async (_, rows, expected) => {
  const tables = await storeOf(rows)
  const spec = specOf(['object_id', 'flow_id', 'start_ns', 'timeline_id'])
  const plan = planned(tables, spec)
  expect({ shared: plan.bounds.length > 0 }).toEqual(expected)
  expect(readByTwo(tables, spec, plan).sort()).toEqual(
    rows.map((row) => `${row.object_id} ${row.flow_id} ${row.start_ns} ${row.timeline_id}`).sort(),
  )
})

test('the condition of a scan holds in every range', async () => {
  const tables = await storeOf(segments(flowIds(20), 60))
  const spec = specOf(['start_ns'], 't.start_ns >= 500')
  const plan = planned(tables, spec)
  expect(plan.bounds.length).toBeGreaterThan(0)
  expect(readByTwo(tables, spec, plan).every((text) => Number(text) >= 500)).toBe(true)
})

test('a scan that an index leads to its rows is not shared', async () => {
  const [flow] = flowIds(1)
  const tables = await storeOf(segments(flowIds(20), 60))
  const spec = specOf(['flow_id', 'start_ns'], `t.flow_id = '${flow}'`)
  const plan = planned(tables, spec)
  expect(plan).toEqual({ kind: 'keys', pinned: [], bounds: [] })
  expect(readByTwo(tables, spec, plan)).toHaveLength(60)
})

test('many flows are divided into many ranges', async () => {
  const tables = await storeOf(segments(flowIds(300), 1))
  expect(planned(tables, specOf(['start_ns'])).bounds.length).toBeGreaterThan(30)
})
