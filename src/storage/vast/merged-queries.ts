import type { Scalar } from '../../core/predicate.ts'
import type { TableName } from '../schema.ts'
import { compareValues, pinnedBy, rowTest } from './column-terms.ts'
import { nextTurn } from './next-turn.ts'
import type { ColumnTerm, Condition, RowQuery, RowSource, SourceRow } from './row-source.ts'

/** Queries of one request: the conditions of each column are joined by "or", so each pair of queries may bring rows that nobody asked for. */
const MOST_QUERIES = 128
/** Rows asked for on behalf of a query that wants one. */
const SLACK = 8

interface Group {
  readonly queries: RowQuery[]
  readonly answers: Promise<readonly (readonly SourceRow[])[]>
}

/**
 * Small queries of the same form that are asked for in one turn of the event loop, as one request: "the last segment before this moment" of many
 * flows. Where the answer may be incomplete, each is asked by itself after all.
 */
export class MergedQueries {
  readonly #groups = new Map<string, Group>()

  constructor(private readonly source: RowSource) {}

  /** Undefined for a query that does not lend itself to it. */
  rows(table: TableName, query: RowQuery): Promise<readonly SourceRow[]> | undefined {
    const form = query.limit === undefined || query.large || query.signal ? undefined : formOf(query.where)
    if (form === undefined) return undefined
    const name = `${table} ${form}`
    let group = this.#groups.get(name)
    if (!group || group.queries.length === MOST_QUERIES) {
      group = this.#open(table, name)
      this.#groups.set(name, group)
    }
    const place = group.queries.push(query) - 1
    return group.answers.then((answers) => answers[place] ?? [])
  }

  #open(table: TableName, name: string): Group {
    const queries: RowQuery[] = []
    const answers = nextTurn().then(() => {
      if (this.#groups.get(name)?.queries === queries) this.#groups.delete(name)
      return this.#ask(table, queries)
    })
    return { queries, answers }
  }

  /** Where the answer reaches its limit, each half is asked for by itself. */
  async #ask(table: TableName, queries: readonly RowQuery[]): Promise<readonly (readonly SourceRow[])[]> {
    const [only] = queries
    if (only && queries.length === 1) return [await collected(this.source.rows(table, only))]
    const limit = SLACK * queries.reduce((sum, query) => sum + (query.limit ?? 0), 0)
    const where = joined(queries.map((query) => conjoined(query.where)))
    const columns = [...new Set(queries.flatMap((query) => [...query.columns, ...query.where.map(({ column }) => column)]))]
    const rowIds = queries.some((query) => query.rowIds)
    const rows = await collected(this.source.rows(table, { columns, where, limit, rowIds }))
    if (rows.length < limit) return dealt(queries, rows)
    const half = queries.length >> 1
    const answers = await Promise.all([this.#ask(table, queries.slice(0, half)), this.#ask(table, queries.slice(half))])
    return answers.flat()
  }
}

/** To each query the rows that pass it. */
const dealt = (queries: readonly RowQuery[], rows: readonly SourceRow[]): readonly (readonly SourceRow[])[] => {
  const column = queries[0]?.where.find((term) => pinnedBy(term) !== undefined)?.column
  if (column === undefined) return queries.map((query) => rows.filter(rowTest(query.where)).slice(0, query.limit))
  const byValue = Map.groupBy(rows, (row) => row[column])
  return queries.map((query) => {
    const term = query.where.find((each) => each.column === column)
    const value = term && pinnedBy(term)
    const candidates = value === undefined ? rows : (byValue.get(value) ?? [])
    return candidates.filter(rowTest(query.where)).slice(0, query.limit)
  })
}

/** All rows of an answer. */
export const collected = async (chunks: AsyncIterable<readonly SourceRow[]>): Promise<readonly SourceRow[]> => {
  const found: SourceRow[] = []
  for await (const rows of chunks) found.push(...rows)
  return found
}

/** Which columns a query compares, and how: queries of one form can be joined. Undefined where a column's terms are not one condition. */
const formOf = (where: readonly ColumnTerm[]): string | undefined => {
  const columns = conjoined(where)
  if (columns.size === 0) return undefined
  let form = ''
  for (const [column, conditions] of columns) {
    const [only, ...others] = conditions
    if (!only || others.length > 0) return undefined
    form += `${column} ${only.kind === 'compare' ? only.op : only.kind} `
  }
  return form
}

/** One list of alternatives per column; two bounds of a column become one condition. Empty where the terms of a column cannot be put into one. */
const conjoined = (where: readonly ColumnTerm[]): ReadonlyMap<string, readonly Condition[]> => {
  const columns = new Map<string, readonly Condition[]>()
  for (const { column, anyOf } of where) {
    const before = columns.get(column)
    columns.set(column, before ? bounds(before, anyOf) : anyOf)
  }
  return columns
}

const bounds = ([low]: readonly Condition[], [high]: readonly Condition[]): readonly Condition[] => {
  const both = low?.kind === 'compare' && high?.kind === 'compare' && low.op === '>=' && high.op === '<='
  return both ? [{ kind: 'between', from: low.value, to: high.value }] : []
}

const joined = (queries: readonly ReadonlyMap<string, readonly Condition[]>[]): readonly ColumnTerm[] => {
  const [first] = queries
  return [...(first?.keys() ?? [])].map((column) => ({ column, anyOf: alternatives(queries.flatMap((query) => query.get(column) ?? [])) }))
}

/** Equal values as one list, ranges that meet as one, everything else once. */
const alternatives = (conditions: readonly Condition[]): readonly Condition[] => {
  const values = new Set<Scalar>()
  const ranges: Range[] = []
  const others = new Map<string, Condition>()
  for (const condition of conditions) {
    if (condition.kind === 'in') for (const value of condition.values) values.add(value)
    else if (condition.kind === 'compare' && condition.op === '=') values.add(condition.value)
    else if (condition.kind === 'between') ranges.push(condition)
    else others.set(condition.kind === 'compare' ? `${condition.op} ${condition.value}` : condition.kind, condition)
  }
  const list: readonly Condition[] = values.size > 0 ? [{ kind: 'in', values: [...values] }] : []
  return [...list, ...united(ranges), ...others.values()]
}

type Range = Extract<Condition, { readonly kind: 'between' }>

const united = (ranges: readonly Range[]): readonly Range[] => {
  const result: Range[] = []
  for (const range of ranges.toSorted((a, b) => compareValues(a.from, b.from))) {
    const last = result.at(-1)
    if (!last || compareValues(range.from, last.to) > 0) result.push(range)
    else if (compareValues(range.to, last.to) > 0) result[result.length - 1] = { ...last, to: range.to }
  }
  return result
}
