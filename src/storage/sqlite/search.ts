import type { Predicate, Value } from '../../core/predicate.ts'
import { checkAfter, type OrderColumn, type OrderRequest, totalOrder } from '../list-order.ts'
import type { Page } from '../tables.ts'
import type { Connection, SqlRow } from './connection.ts'
import { flatten, pinnedColumns, planCount, planPage, type Start } from './plan.ts'
import { rowReader } from './rows.ts'
import {
  boundaryStatement,
  countOf,
  directStatement,
  probeStatement,
  relatedStatement,
  type Search,
  type Statement,
  windowStatement,
} from './search-sql.ts'
import type { TableInfo } from './table-info.ts'

/**
 * A query in steps of some ten milliseconds at most: `bun:sqlite` cannot interrupt a statement, so the caller decides between
 * two steps what else has its turn.
 */
export type Steps<T> = Generator<undefined, T, undefined>

/** `ListQuery` of the interface, for any table. */
export interface ListRequest {
  readonly columns?: readonly string[]
  readonly where: Predicate
  readonly orderBy?: readonly OrderRequest[]
  readonly after?: readonly Value[]
  readonly limit: number
}

export interface TimeLimit {
  /** Milliseconds on a clock that never goes back. */
  now(): number
  readonly timeoutMs: number
}

// Starting from the wrong side of a tag filter costs 0.7 to 2.3 s in 1 M flows; from 1,000 tags, some milliseconds.
const RELATED_PROBE = 1000
const OWN_PROBE = 10_000
const FIRST_WINDOW = 2000
const LAST_WINDOW = 64_000
const COUNT_WINDOW = 50_000
const SLOW_STEP_MS = 10

type Position = readonly Value[] | undefined

/** One page. Past the time limit it is short, and its `after` stands behind the last row examined. */
export function* listSteps(connection: Connection, info: TableInfo, query: ListRequest, limits: TimeLimit): Steps<Page<SqlRow>> {
  const { where, limit, after } = query
  if (!Number.isSafeInteger(limit) || limit < 1) throw new Error(`a list of ${info.name} has the limit ${limit}`)
  const total = totalOrder(info, query.orderBy)
  if (after) checkAfter(info, total, after)
  const terms = flatten(where)
  const plan = planPage(info, terms, total)
  const pinned = plan.kind === 'search' && plan.walk ? plan.walk.pinned : pinnedColumns(terms)
  const order = total.filter(({ column }) => !pinned.has(column))
  const from: Position = after?.filter((_, i) => !pinned.has(total[i]?.column ?? ''))
  const reader = rowReader(info, query.columns ?? info.columnNames, order)
  const search: Search = { info, terms, order, columns: reader.selected }

  const page = (rows: SqlRow[], stoppedAt?: Position): Page<SqlRow> => {
    const [extra] = rows.splice(limit)
    const position = extra ? reader.position(rows.at(-1) ?? {}) : stoppedAt
    if (!position) return { rows: reader.finish(rows) }
    const values = new Map<string, Value>([...pinned, ...order.map(({ column }, i) => [column, position[i] ?? null] as const)])
    return { rows: reader.finish(rows), after: total.map(({ column }) => values.get(column) ?? null) }
  }
  const select = (statement: Statement): SqlRow[] => connection.rows(...statement)

  if (plan.kind === 'direct') return page(select(directStatement(search, plan.path, from, limit + 1)))
  const start = smallest(connection, info, plan.starts)
  if (start?.kind === 'own') return page(select(directStatement(search, start.access.path, from, limit + 1)))
  if (start?.kind === 'related') return page(select(relatedStatement(search, start, from, limit + 1)))
  const { walk } = plan
  if (!walk) return page(select(directStatement(search, undefined, from, limit + 1)))

  const startedAt = limits.now()
  const rows: SqlRow[] = []
  let position = from
  let size = FIRST_WINDOW
  for (;;) {
    const stepAt = limits.now()
    const window = { walk, from: position, size }
    rows.push(...select(windowStatement(search, window, limit + 1 - rows.length)))
    if (rows.length > limit) return page(rows)
    const [last] = select(boundaryStatement(search, window))
    if (!last) return page(rows)
    position = reader.position(last)
    const endAt = limits.now()
    if (endAt - startedAt >= limits.timeoutMs) return page(rows, position)
    size = endAt - stepAt < SLOW_STEP_MS ? Math.min(size * 2, LAST_WINDOW) : Math.max(size / 2, FIRST_WINDOW)
    yield
  }
}

/** The number of rows that match, or `atMost` when there are as many or more. */
export function* countSteps(connection: Connection, info: TableInfo, where: Predicate, atMost: number): Steps<number> {
  if (atMost < 1) return 0
  const terms = flatten(where)
  const { walk, starts } = planCount(info, terms)
  const order = orderOf(info, walk.path.columns).filter(({ column }) => !walk.pinned.has(column))
  const search: Search = { info, terms, order, columns: [] }
  const unordered: Search = { ...search, order: [] }
  const count = (statement: Statement): number => connection.integer(...countOf(statement))

  const start = smallest(connection, info, starts)
  if (start?.kind === 'related') return count(relatedStatement(unordered, start, undefined, atMost))
  if (start || walk.lists) return count(directStatement(unordered, start?.access.path, undefined, atMost))

  const reader = rowReader(info, [], order)
  let found = 0
  let position: Position
  for (;;) {
    const missing = atMost - found
    const size = walk.rest.length === 0 ? Math.min(COUNT_WINDOW, missing) : FIRST_WINDOW * 4
    const window = { walk, from: position, size }
    const [last] = connection.rows(...boundaryStatement(search, window))
    // A full window of an index that answers every term needs no second look.
    found += last && walk.rest.length === 0 ? size : count(windowStatement(search, window, missing))
    if (!last || found >= atMost) return found
    position = reader.position(last)
    yield
  }
}

const orderOf = (info: TableInfo, columns: readonly string[]): readonly OrderColumn[] =>
  columns.map((column) => ({ column, descending: false, nullsFirst: true, nullable: info.nullable.has(column) }))

const smallest = (connection: Connection, info: TableInfo, starts: readonly Start[]): Start | undefined => {
  let found: Start | undefined
  let fewest = Number.POSITIVE_INFINITY
  for (const start of starts) {
    const most = start.kind === 'own' ? OWN_PROBE : RELATED_PROBE
    const rows = connection.integer(...probeStatement(info, start, most + 1))
    if (rows <= most && rows < fewest) {
      found = start
      fewest = rows
    }
  }
  return found
}
