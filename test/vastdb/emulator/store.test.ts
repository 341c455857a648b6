// The row store against the simplest thing that could be right: a map of rows, copied for every snapshot.
import { describe, expect, test } from 'bun:test'
import { type DataType, Field, Int64, Utf8 } from 'apache-arrow'
import fc from 'fast-check'
import { batchOf, dataOf } from '../../../src/vastdb/wire/build.ts'
import { anyOf, between, eq, type Filter, ge, isNull, lt, oneOf, startsWith } from '../../../src/vastdb/wire/predicate.ts'
import { decodeQueryRequest, encodeQueryRequest, queryRequest } from '../../../src/vastdb/wire/query-request.ts'
import { columnValues, type Value } from '../../../src/vastdb/wire/values.ts'
import { compileFilter } from '../../emulators/vast/store/compile-filter.ts'
import { RowStore } from '../../emulators/vast/store/row-store.ts'
import { scan } from '../../emulators/vast/store/scan.ts'
import { RowView } from '../../emulators/vast/store/view.ts'
import { takeRows } from '../../emulators/vast/wire/take.ts'
import { everyType } from '../support/types.ts'

const FIELDS = [new Field('key', new Utf8(), true), new Field('value', new Int64(), true)]
const [KEY, VALUE] = [0, 1]
const typeOf = (id: number): DataType | undefined => FIELDS[id]?.type
const everything = { from: 0, limit: Number.MAX_SAFE_INTEGER, groups: { share: 0, shares: 1, size: 8 } }

type Cells = readonly [Value, Value]

const filtered = (filters: readonly Filter[], sortKey: readonly number[] = []) => {
  const request = queryRequest(FIELDS, ['key', 'value'], filters)
  const { filter } = decodeQueryRequest(encodeQueryRequest(request))
  return { fields: FIELDS, columns: [KEY, VALUE], filter: compileFilter(FIELDS, filter), sortKey }
}

const contents = (view: RowView, filters: readonly Filter[] = [], sortKey: readonly number[] = []): Cells[] =>
  scan(view, filtered(filters, sortKey), everything).selections.flatMap((selection) => {
    const columns = [KEY, VALUE].map((id) => columnValues(view.column([selection], id, FIELDS[id]?.type ?? new Utf8())))
    return Array.from(selection.rows, (_, i): Cells => [columns[KEY]?.[i] ?? null, columns[VALUE]?.[i] ?? null])
  })

const insert = (view: RowView, rows: readonly Cells[]): number => {
  const { store } = view
  const firstRowId = store.allocate(rows.length)
  const columns = new Map(
    [KEY, VALUE].map((id) => [
      id,
      dataOf(
        FIELDS[id]?.type ?? new Utf8(),
        rows.map((row) => row[id as 0 | 1]),
      ),
    ]),
  )
  view.insert({
    rows: rows.length,
    firstRowId,
    lastRowId: firstRowId + rows.length - 1,
    clientIds: false,
    columns,
    commit: Number.POSITIVE_INFINITY,
    versions: new Map(),
  })
  return firstRowId
}

/** One writer at a time, many readers: the store with its commits, and the model. */
class Both {
  readonly store = new RowStore(1)
  commits = 0
  model = new Map<number, Cells>()
  readonly snapshots: { readonly view: RowView; readonly commit: number; readonly model: ReadonlyMap<number, Cells> }[] = []

  write(work: (view: RowView, model: Map<number, Cells>) => void): void {
    const view = new RowView(this.store, this.commits)
    const model = new Map(this.model)
    work(view, model)
    expect(contents(view)).toEqual([...model.entries()].sort(([a], [b]) => a - b).map(([, cells]) => cells))
    this.commits += 1
    for (const chunk of view.inserted) this.store.add(chunk, this.commits)
    const oldest = Math.min(this.commits, ...this.snapshots.map(({ commit }) => commit))
    for (const [rowId, change] of view.changes) this.store.addVersion(rowId, { commit: this.commits, change }, oldest)
    this.store.compact(oldest, typeOf)
    this.model = model
  }

  check(): void {
    const now = { view: new RowView(this.store, this.commits), model: this.model }
    for (const { view, model } of [...this.snapshots, now]) {
      const expected = [...model.entries()].sort(([a], [b]) => a - b).map(([, cells]) => cells)
      expect(contents(view)).toEqual(expected)
      expect(view.count()).toBe(expected.length)
    }
  }
}

const cells: fc.Arbitrary<Cells> = fc.tuple<[Value, Value]>(fc.option(fc.constantFrom('', 'a', 'ab', 'é')), fc.option(fc.bigInt(-3n, 3n)))
const step = fc.oneof(
  fc.record({
    kind: fc.constant('insert' as const),
    rows: fc.array(cells, { minLength: 1, maxLength: 4 }),
    times: fc.constantFrom(1, 1, 60),
  }),
  fc.record({ kind: fc.constant('update' as const), pick: fc.nat(), value: fc.option(fc.bigInt(0n, 9n)) }),
  fc.record({ kind: fc.constant('delete' as const), pick: fc.nat() }),
  fc.record({ kind: fc.constant('open' as const) }),
  fc.record({ kind: fc.constant('close' as const) }),
)

describe('the row store', () => {
  test('shows every snapshot what was committed when it began, whatever is changed and merged later', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const both = new Both()
        for (const action of steps) {
          const ids = [...both.model.keys()]
          const picked = 'pick' in action ? ids[action.pick % Math.max(1, ids.length)] : undefined
          if (action.kind === 'insert')
            for (let i = 0; i < action.times; i++)
              both.write((view, model) => {
                const first = insert(view, action.rows)
                for (const [at, row] of action.rows.entries()) model.set(first + at, row)
              })
          if (action.kind === 'open')
            both.snapshots.push({ view: new RowView(both.store, both.commits), commit: both.commits, model: both.model })
          if (action.kind === 'close') both.snapshots.pop()
          if (picked === undefined) continue
          both.write((view, model) => {
            const found = view.find(picked)
            if (found === undefined) throw new Error(`row ${picked} is not found`)
            if (action.kind === 'update') {
              view.change(found.chunk, found.row, new Map([[VALUE, action.value]]))
              model.set(picked, [model.get(picked)?.[KEY] ?? null, action.value])
            } else {
              view.change(found.chunk, found.row, 'deleted')
              model.delete(picked)
            }
          })
        }
        both.check()
      }),
      { numRuns: 60 },
    )
  })

  test('keeps few chunks after many small commits, and none of rows that are all deleted', () => {
    const both = new Both()
    for (let i = 0; i < 600; i++) both.write((view, model) => void model.set(insert(view, [['a', BigInt(i)]]), ['a', BigInt(i)]))
    expect(both.store.chunks.length).toBeLessThan(100)
    both.write((view, model) => {
      for (const id of model.keys()) {
        const found = view.find(id)
        if (found !== undefined) view.change(found.chunk, found.row, 'deleted')
      }
      model.clear()
    })
    for (let i = 0; i < 50; i++) both.write((view, model) => void model.set(insert(view, [['b', 1n]]), ['b', 1n]))
    expect(both.store.chunks.reduce((sum, chunk) => sum + chunk.rows, 0)).toBeLessThan(120)
    both.check()
  })
})

const ends = fc.bigInt(-30n, 30n)
const someRanges = fc.array(fc.tuple(ends, ends), { minLength: 1, maxLength: 6 })
const inOneOf = (ranges: readonly (readonly [bigint, bigint])[]): Filter => anyOf(...ranges.map(([from, to]) => between('value', from, to)))

test('several ranges of one column are passed by what lies in one of them', () => {
  const cell = fc.option(fc.bigInt(-30n, 30n))
  fc.assert(
    fc.property(fc.array(cell, { maxLength: 60 }), someRanges, (values, ranges) => {
      const view = new RowView(new RowStore(1), 0)
      insert(
        view,
        values.map((value) => ['a', value]),
      )
      // One that was changed is tested cell by cell.
      const found = view.find(0)
      if (found) view.change(found.chunk, found.row, new Map([[VALUE, 5n]]))
      const stored = values.map((value, row) => (row === 0 ? 5n : value))
      const passing = stored.filter((value) => value !== null && ranges.some(([from, to]) => from <= value && value <= to))
      expect(contents(view, [inOneOf(ranges)]).map(([, value]) => value)).toEqual(passing)
    }),
    { numRuns: 200 },
  )
})

describe('the index of a sorted table', () => {
  const key = fc.constantFrom('a', 'ab', 'b', 'é', '')
  const value = fc.bigInt(-20n, 20n)
  const keyFilter = fc.oneof(
    key.map((text) => eq('key', text)),
    fc.array(key, { minLength: 1, maxLength: 6 }).map((texts) => oneOf('key', texts)),
  )
  const valueFilter = fc.oneof(
    value.map((bound) => eq('value', bound)),
    value.map((bound) => ge('value', bound)),
    value.map((bound) => lt('value', bound)),
    fc.tuple(value, value).map(([from, to]) => between('value', from, to)),
    someRanges.map(inOneOf),
  )
  const other = fc.oneof(
    key.map((text) => startsWith('key', text)),
    fc.constant(isNull('value')),
  )

  test('changes nothing about what a query finds', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(key, value), { minLength: 520, maxLength: 700 }),
        fc.array(fc.oneof(keyFilter, valueFilter, other), { maxLength: 3 }),
        (rows, filters) => {
          const view = new RowView(new RowStore(1), 0)
          insert(view, rows)
          expect(contents(view, filters, [KEY, VALUE])).toEqual(contents(view, filters))
          expect(contents(view, filters, [VALUE, KEY])).toEqual(contents(view, filters))
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('taking rows', () => {
  test.each(everyType.map(([field, values]) => [field.name, field, values] as const))('keeps the values of %s', (_, field, values) => {
    const data = batchOf([field], [values]).data.children[0]
    if (data === undefined) throw new Error('no column')
    const order = Uint32Array.from([...values.keys(), ...values.keys()]).reverse()
    expect(columnValues(takeRows(data, order))).toEqual([...values, ...values].reverse())
    expect(columnValues(takeRows(data, new Uint32Array(0)))).toEqual([])
  })
})
