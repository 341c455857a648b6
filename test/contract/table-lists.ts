import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  and,
  compare,
  eq,
  everything,
  isIn,
  isNull,
  not,
  nothing,
  or,
  type Predicate,
  related,
  type Value,
} from '../../src/core/predicate.ts'
import { compareText } from '../../src/core/text-order.ts'
import type { Row } from '../../src/storage/schema.ts'
import type { Tables } from '../../src/storage/tables.ts'
import { type ModelRow, matches, type OrderModel, sorted } from './table-model.ts'
import { deliveryRow, tagRow } from './table-rows.ts'

type Delivery = Row<'deliveries'>
type DeliveryColumn = keyof Delivery

/** What `list` and `count` promise: predicates, orders and pages. */
export const listsContract = (current: () => Tables): void => {
  const insert = (...rows: readonly Delivery[]) => current().write((tx) => tx.insert('deliveries', rows))
  const ids = async (where: Predicate, orderBy: readonly OrderModel[] = []): Promise<readonly string[]> => {
    const page = await current().read((tx) => tx.list('deliveries', { where, orderBy: typed(orderBy), limit: 1000 }))
    return page.rows.map(({ id }) => id)
  }

  describe('order', () => {
    test('text is ordered by code point, also above U+FFFF', async () => {
      const texts = ['\u{1f600}', '\uffee', '\ud7ff', 'a', '', 'Z', 'é', 'e\u0301', '\u{10ffff}', 'a\u0000', 'ab', '\ue000']
      await insert(...texts.map((id) => deliveryRow(id)))
      expect(await ids(everything)).toEqual(texts.toSorted(compareText))
      expect(await ids(compare('id', '>', '\uffee'))).toEqual(['\u{1f600}', '\u{10ffff}'])
    })

    test('nulls stand first or last as asked for, and as the smallest value otherwise', async () => {
      await insert(deliveryRow('a', { flow_id: 'x' }), deliveryRow('b'), deliveryRow('c', { flow_id: 'y' }), deliveryRow('d'))
      const order = (direction: 'asc' | 'desc', nulls?: 'first' | 'last') =>
        ids(everything, [{ column: 'flow_id', direction, ...(nulls ? { nulls } : {}) }])
      expect(await order('asc')).toEqual(['b', 'd', 'a', 'c'])
      expect(await order('desc')).toEqual(['c', 'a', 'd', 'b'])
      expect(await order('asc', 'last')).toEqual(['a', 'c', 'b', 'd'])
      expect(await order('desc', 'first')).toEqual(['d', 'b', 'c', 'a'])
    })
  })

  describe('predicates', () => {
    test('a comparison with null is false, and its negation true', async () => {
      await insert(deliveryRow('null'), deliveryRow('one', { response_status: 1 }), deliveryRow('two', { response_status: 2 }))
      expect(await ids(eq('response_status', 1))).toEqual(['one'])
      expect(await ids(compare('response_status', '!=', 1))).toEqual(['two'])
      expect(await ids(not(eq('response_status', 1)))).toEqual(['null', 'two'])
      expect(await ids(not(compare('response_status', '!=', 1)))).toEqual(['null', 'one'])
      expect(await ids(not(isIn('response_status', [1, 2])))).toEqual(['null'])
      expect(await ids(not(not(compare('response_status', '<', 2))))).toEqual(['one'])
      expect(await ids(isNull('response_status'))).toEqual(['null'])
      expect(await ids(not(isNull('response_status')))).toEqual(['one', 'two'])
    })

    test('no terms: "and" holds for all rows, "or" and an empty list for none', async () => {
      await insert(deliveryRow('a'))
      expect(await ids(everything)).toEqual(['a'])
      expect(await ids(nothing)).toEqual([])
      expect(await ids(isIn('id', []))).toEqual([])
      expect(await ids(not(isIn('id', [])))).toEqual(['a'])
    })

    test('lists of any length, also of the key', async () => {
      const all = Array.from({ length: 1500 }, (_, i) => `d${String(i).padStart(4, '0')}`)
      await insert(...all.slice(0, 500).map((id) => deliveryRow(id)))
      for (const length of [1, 2, 3, 100, 1500])
        expect(await ids(isIn('id', all.slice(0, length)))).toEqual(all.slice(0, Math.min(length, 500)))
    })

    test('more than a thousand terms', async () => {
      await insert(deliveryRow('d7'), deliveryRow('x'))
      const terms = Array.from({ length: 1200 }, (_, i) => eq('id', `d${i}`))
      expect(await ids(or(...terms))).toEqual(['d7'])
      expect(await ids(and(...terms.map(not)))).toEqual(['x'])
    })
  })

  describe('count', () => {
    test('counts what matches, up to atMost', async () => {
      await insert(...Array.from({ length: 25 }, (_, i) => deliveryRow(`${i}`, { attempts: i, status: i < 20 ? 'pending' : 'done' })))
      const count = (where: Predicate, atMost?: number) =>
        current().read((tx) => tx.count('deliveries', where, atMost === undefined ? {} : { atMost }))
      expect(await count(everything)).toBe(25)
      expect(await count(everything, 10)).toBe(10)
      expect(await count(everything, 25)).toBe(25)
      expect(await count(everything, 26)).toBe(25)
      expect(await count(everything, 0)).toBe(0)
      expect(await count(eq('status', 'done'))).toBe(5)
      expect(await count(eq('status', 'done'), 1)).toBe(1)
      expect(await count(compare('attempts', '>', 9), 100)).toBe(15)
      expect(await count(compare('attempts', '>', 9), 3)).toBe(3)
      expect(await count(eq('id', '7'), 1)).toBe(1)
      expect(await count(nothing)).toBe(0)
    })
  })

  describe('pages', () => {
    test('a page has after only when more may follow', async () => {
      await insert(deliveryRow('a'), deliveryRow('b'), deliveryRow('c'))
      const list = (limit: number) => current().read((tx) => tx.list('deliveries', { where: everything, limit }))
      expect((await list(2)).after).toEqual(['b'])
      expect((await list(3)).after).toBeUndefined()
      expect((await list(4)).after).toBeUndefined()
    })

    test('chosen columns come alone, and pages still follow one another', async () => {
      await insert(...['a', 'b', 'c'].map((id, i) => deliveryRow(id, { created: BigInt(3 - i) })))
      const query = {
        columns: ['attempts', 'id'],
        where: everything,
        orderBy: [{ column: 'created', direction: 'asc' }],
        limit: 2,
      } as const
      const first = await current().read((tx) => tx.list('deliveries', query))
      expect(first.rows).toStrictEqual([
        { attempts: 0, id: 'c' },
        { attempts: 0, id: 'b' },
      ])
      const second = await current().read((tx) => tx.list('deliveries', { ...query, after: first.after ?? [] }))
      expect(second.rows).toStrictEqual([{ attempts: 0, id: 'a' }])
    })

    test('a page key of another query is invalid', async () => {
      for (const after of [[], ['a', 'b'], [1n], [null]]) {
        const page = current().read((tx) => tx.list('deliveries', { where: everything, limit: 1, after }))
        await expect(page).rejects.toMatchObject({ code: 'invalid' })
      }
    })

    test('rows that come and go between two pages neither repeat nor hide others', async () => {
      await insert(...['b', 'd', 'f', 'h'].map((id) => deliveryRow(id)))
      const page = (after?: readonly Value[]) =>
        current().read((tx) => tx.list('deliveries', { where: everything, limit: 2, ...(after ? { after } : {}) }))
      const first = await page()
      await current().write(async (tx) => {
        await tx.delete('deliveries', isIn('id', ['b', 'd']))
        await tx.insert('deliveries', [deliveryRow('a'), deliveryRow('e')])
      })
      expect((await page(first.after)).rows.map(({ id }) => id)).toEqual(['e', 'f'])
    })

    test('walking any query page by page gives what a naive model gives, in the same order', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(delivery, { selector: ({ id }) => id, maxLength: 30 }),
          fc.array(query, { minLength: 4, maxLength: 4 }),
          tags,
          async (rows, queries, tagRows) => {
            await current().write(async (tx) => {
              await tx.delete('deliveries', everything)
              await tx.delete('tags', everything)
              await tx.insert('deliveries', rows)
              await tx.insert('tags', tagRows)
            })
            for (const { where, orderBy, limit } of queries) {
              const matching = rows.filter((row) => matches(row as ModelRow, where, { tags: tagRows as readonly ModelRow[] }))
              const expected = sorted(matching as readonly ModelRow[], orderBy, ['id'])
              expect(await walk(where, orderBy, limit)).toEqual(expected.map((row) => String(row.id)))
              expect(await current().read((tx) => tx.count('deliveries', where))).toBe(matching.length)
            }
          },
        ),
        { numRuns: 60 },
      )
    }, 120_000)

    const walk = (where: Predicate, orderBy: readonly OrderModel[], limit: number): Promise<readonly string[]> =>
      current().read(async (tx) => {
        const found: string[] = []
        let after: readonly Value[] | undefined
        do {
          const page = await tx.list('deliveries', { where, orderBy: typed(orderBy), limit, ...(after ? { after } : {}) })
          expect(page.rows.length).toBeLessThanOrEqual(limit)
          found.push(...page.rows.map(({ id }) => id))
          after = page.after
        } while (after)
        return found
      })
  })
}

const typed = (orderBy: readonly OrderModel[]) => orderBy as readonly (OrderModel & { readonly column: DeliveryColumn })[]

// Few different values, so that they meet; texts on both sides of the surrogates.
const text = fc.constantFrom('a', 'b', '\uffee', '\u{1f600}', '')
const small = fc.integer({ min: -1, max: 2 })
const big = fc.constantFrom(-(2n ** 63n), 0n, 1n, 2n ** 53n + 1n)
const double = fc.constantFrom(-0.5, 0, 1, 1e300)
const optional = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null })

const valuesOf = {
  id: fc.constantFrom('a', 'b', 'c', 'd\uffee', 'd\u{1f600}', 'e'),
  webhook_id: text,
  seq: big,
  flow_id: text,
  status: text,
  attempts: small,
  next_attempt: big,
  response_status: small,
  duration_ms: double,
  error: text,
  created: big,
} satisfies Partial<Record<DeliveryColumn, fc.Arbitrary<string | bigint | number>>>

const column = fc.constantFrom(...(Object.keys(valuesOf) as (keyof typeof valuesOf)[]))

export const delivery: fc.Arbitrary<Delivery> = fc.record({
  ...valuesOf,
  id: fc.string({ unit: fc.constantFrom('a', 'b', '\uffee', '\u{1f600}'), maxLength: 4 }),
  flow_id: optional(text),
  response_status: optional(small),
  duration_ms: optional(double),
  error: optional(text),
  updated: big,
})

export const tags = fc
  .uniqueArray(fc.record({ entity: text, name: fc.constantFrom('n', 'm'), value: text }), {
    selector: ({ entity, name }) => `${entity} ${name}`,
    maxLength: 6,
  })
  .map((list) => list.map(({ entity, name, value }) => tagRow(entity, name, value)))

const leaf: fc.Arbitrary<Predicate> = fc.oneof(
  column.chain((name) =>
    fc.tuple(fc.constantFrom('=', '!=', '<', '<=', '>', '>='), valuesOf[name]).map(([op, value]) => compare(name, op, value)),
  ),
  column.chain((name) =>
    fc.array(valuesOf[name] as fc.Arbitrary<string | bigint | number>, { maxLength: 5 }).map((values) => isIn(name, values)),
  ),
  fc.constantFrom('flow_id', 'response_status', 'duration_ms', 'error').map(isNull),
)

const relatedLeaf = fc
  .record({
    ours: fc.constantFrom('id', 'flow_id', 'webhook_id'),
    name: fc.constantFrom('n', 'm'),
    value: optional(text),
    negated: fc.boolean(),
  })
  .map(({ ours, name, value, negated }) =>
    related(
      'tags',
      { entity_id: ours },
      and(eq('entity_type', 'flow'), eq('name', name), ...(value === null ? [] : [eq('value', value)])),
      negated,
    ),
  )

export const predicate: fc.Arbitrary<Predicate> = fc.letrec<{ node: Predicate }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    relatedLeaf,
    tie('node').map(not),
    fc.array(tie('node'), { maxLength: 3 }).map((terms) => and(...terms)),
    fc.array(tie('node'), { maxLength: 3 }).map((terms) => or(...terms)),
  ),
})).node

const order: fc.Arbitrary<OrderModel> = fc
  .record({ column, direction: fc.constantFrom('asc', 'desc'), nulls: fc.constantFrom('first', 'last', undefined) })
  .map(({ nulls, ...rest }) => (nulls ? { ...rest, nulls } : rest))

const query = fc.record({
  where: fc.oneof(
    predicate,
    fc.array(leaf, { minLength: 1, maxLength: 4 }).map((terms) => and(...terms)),
  ),
  orderBy: fc.uniqueArray(order, { selector: (entry) => entry.column, maxLength: 2 }),
  limit: fc.integer({ min: 1, max: 7 }),
})
