import type { Predicate, Scalar, Value } from '../../core/predicate.ts'
import { MAX_NS, MIN_NS } from '../../core/timestamp.ts'
import { checkAfter, type OrderColumn, type OrderRequest, totalOrder } from '../list-order.ts'
import type { TableFacts } from '../table-facts.ts'
import type { Page } from '../tables.ts'
import { among, pinnedBy } from './column-terms.ts'
import { columnsOf, compile, type Node, split } from './compile-predicate.ts'
import { keepAll, startFrom, tupleOf } from './evaluate.ts'
import type { Hints } from './hints.ts'
import { boundBehind, FirstRows, rowAt, rowOrder } from './row-order.ts'
import { type ColumnTerm, picked, type RowQuery, type RowSource, type SourceRow } from './row-source.ts'
import { type Walk, walk } from './walk.ts'

/** `ListQuery` of the interface, for any table. */
export interface ListRequest {
  readonly columns?: readonly string[]
  readonly where: Predicate
  readonly orderBy?: readonly OrderRequest[]
  readonly after?: readonly Value[]
  readonly limit: number
}

export interface Prepared {
  readonly facts: TableFacts
  readonly terms: readonly ColumnTerm[]
  readonly rest: readonly Node[]
}

/** A condition as what the source is asked for and what is evaluated here; undefined when no row can pass. */
export const prepare = async (source: RowSource, facts: TableFacts, where: Predicate): Promise<Prepared | undefined> => {
  const { terms, rest, never } = split(facts, compile(facts, where))
  if (never) return undefined
  // Rows that the key narrows already are fewer than what they are related to may be.
  if (terms.some(({ column }) => column === facts.key[0])) return { facts, terms, rest }
  const found = [...terms]
  const left: Node[] = []
  for (const node of rest) {
    const start = node.kind === 'related' ? await startFrom(source, node) : undefined
    if (start) found.push(start.term)
    if (!start?.exact) left.push(node)
  }
  return { facts, terms: found, rest: left }
}

/** One page in the order asked for. Short where a filter matches rarely. */
export const listRows = async (source: RowSource, hints: Hints, facts: TableFacts, request: ListRequest): Promise<Page<SourceRow>> => {
  const { limit, after } = request
  if (!Number.isSafeInteger(limit) || limit < 1) throw new Error(`a list of ${facts.name} has the limit ${limit}`)
  const order = totalOrder(facts, request.orderBy)
  if (after) checkAfter(facts, order, after)
  const columns = request.columns ?? facts.columnNames
  for (const column of columns) if (!facts.kinds.has(column)) throw new Error(`table ${facts.name} has no column ${column}`)
  const prepared = await prepare(source, facts, request.where)
  if (!prepared) return { rows: [] }
  const page =
    (await alongTheKey(source, hints, prepared, order, columns, request)) ??
    (await fromCandidates(source, hints, prepared, order, columns, request))
  return { ...page, rows: page.rows.map((row) => picked(row, columns)) }
}

/** Where all columns of the key but the last, an integer, are fixed and the list follows it. */
const alongTheKey = async (
  source: RowSource,
  hints: Hints,
  { facts, terms, rest }: Prepared,
  order: readonly OrderColumn[],
  columns: readonly string[],
  { limit, after }: ListRequest,
): Promise<Page<SourceRow> | undefined> => {
  const column = facts.key.at(-1) ?? ''
  if (facts.kinds.get(column) !== 'int64') return undefined
  const fixed = facts.key.slice(0, -1).map((each) => terms.find((term) => term.column === each && pinnedBy(term) !== undefined))
  const fixing = fixed.filter((term) => term !== undefined)
  if (fixing.length < fixed.length) return undefined
  const [along, ...behind] = order.filter((entry) => !fixing.some((term) => term.column === entry.column))
  if (along?.column !== column || behind.length > 0) return undefined
  const pins = fixing.map((term) => pinnedBy(term) as Scalar)
  const pinOf = (entry: OrderColumn): Scalar => pins[facts.key.indexOf(entry.column)] as Scalar
  // A page key of another timeline: the general way compares all of it.
  if (after && order.some((entry, i) => entry !== along && after[i] !== pinOf(entry))) return undefined
  const bounds = boundsOf(terms, column)
  const { descending } = along
  const seen = after?.[order.indexOf(along)]
  const request: Walk = {
    table: facts.name,
    column,
    pins,
    where: [...fixing, ...terms.filter((term) => !fixing.includes(term) && !bounds.used.has(term))],
    rest,
    low: !descending && typeof seen === 'bigint' && seen >= bounds.low ? seen + 1n : bounds.low,
    high: descending && typeof seen === 'bigint' && seen <= bounds.high ? seen - 1n : bounds.high,
    descending,
    columns: [...new Set([...columns, column, ...rest.flatMap(columnsOf)])],
    limit,
  }
  const { rows, reached } = await walk(source, hints, request)
  if (reached === undefined) return { rows }
  const last = rows.length === limit ? (rows.at(-1)?.[column] as bigint) : reached
  return { rows, after: order.map((entry) => (entry === along ? last : pinOf(entry))) }
}

/** The bounds that terms set to an integer column, both included. */
const boundsOf = (terms: readonly ColumnTerm[], column: string) => {
  let low = MIN_NS
  let high = MAX_NS
  const used = new Set<ColumnTerm>()
  for (const term of terms) {
    const [condition, ...others] = term.anyOf
    if (term.column !== column || others.length > 0 || condition?.kind !== 'compare' || condition.op === '!=') continue
    used.add(term)
    const value = BigInt(condition.value)
    const lowest = condition.op === '>' ? value + 1n : condition.op === '<' || condition.op === '<=' ? MIN_NS : value
    const highest = condition.op === '<' ? value - 1n : condition.op === '>' || condition.op === '>=' ? MAX_NS : value
    if (lowest > low) low = lowest
    if (highest < high) high = highest
  }
  return { low, high, used }
}

/** Rows of a table that is read whole in one request. */
const FEW = 500

/** Everything that passes is looked at, but only as far as order and conditions need it; then the rows of the page are read by their ids. */
const fromCandidates = async (
  source: RowSource,
  hints: Hints,
  { facts, terms, rest }: Prepared,
  order: readonly OrderColumn[],
  columns: readonly string[],
  { limit, after }: ListRequest,
): Promise<Page<SourceRow>> => {
  const needed = new Set([...order.map(({ column }) => column), ...rest.flatMap(columnsOf)])
  const compare = rowOrder(order)
  const first = new FirstRows(compare, limit + 1)
  const seen = after && rowAt(order, after)
  const bound = after && boundBehind(order, after, terms)
  const where = bound ? [...terms, bound] : terms
  const add = async (rows: readonly SourceRow[]): Promise<void> =>
    first.add(await keepAll(source, rest, seen ? rows.filter((row) => compare(row, seen) > 0) : rows))

  const twice = readsTwice(facts, terms) && columns.some((column) => !needed.has(column))
  const all = [...needed.union(new Set(columns))]
  const few = twice && !hints.large.has(facts.name) ? await upTo(source, facts, { columns: all, where, limit: FEW }) : undefined
  if (few) await add(few)
  else {
    if (twice) hints.large.add(facts.name)
    for await (const rows of source.rows(facts.name, { columns: twice ? [...needed] : all, where, large: twice })) await add(rows)
  }
  const sorted = first.sorted()
  const page = sorted.slice(0, limit)
  const last = page.at(-1)
  const more = sorted.length > limit && last ? { after: order.map(({ column }) => last[column] ?? null) } : {}
  return { rows: few || !twice ? page : await whole(source, facts, columns, page), ...more }
}

/** All rows that pass; undefined when there are as many as the limit, so that some may be missing. */
const upTo = async (
  source: RowSource,
  facts: TableFacts,
  query: RowQuery & { readonly limit: number },
): Promise<readonly SourceRow[] | undefined> => {
  const found: SourceRow[] = []
  for await (const rows of source.rows(facts.name, query)) found.push(...rows)
  return found.length < query.limit ? found : undefined
}

/** Tables of things with an id can be long and their rows wide, and a few of them are found by id as well as one. */
const readsTwice = (facts: TableFacts, terms: readonly ColumnTerm[]): boolean =>
  facts.key[0] === 'id' &&
  !terms.some(({ column, anyOf }) => column === 'id' && anyOf.every(({ kind }) => kind === 'in' || kind === 'compare'))

const whole = async (
  source: RowSource,
  facts: TableFacts,
  columns: readonly string[],
  page: readonly SourceRow[],
): Promise<readonly SourceRow[]> => {
  if (page.length === 0) return page
  const keyOf = (row: SourceRow): string => tupleOf(facts.key.map((column) => row[column] ?? null))
  const where = facts.key.map((column) => among(column, [...new Set(page.map((row) => row[column] as Scalar))]))
  const found = new Map<string, SourceRow>()
  for await (const rows of source.rows(facts.name, { columns: [...new Set([...facts.key, ...columns])], where }))
    for (const row of rows) found.set(keyOf(row), row)
  return page.map((row) => found.get(keyOf(row))).filter((row) => row !== undefined)
}
