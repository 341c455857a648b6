import type { Predicate, Related, Scalar } from '../../core/predicate.ts'
import type { OrderColumn } from '../list-order.ts'
import type { TableName } from '../schema.ts'
import { isNative } from './order.ts'
import { type Path, type TableInfo, tableInfo } from './table-info.ts'

/** What a path does for a condition: its leading columns are fixed or listed by terms, the next may have a range. */
export interface Access {
  readonly path: Path
  /** Terms that the index look-up itself answers. */
  readonly covered: readonly Predicate[]
  readonly rest: readonly Predicate[]
  readonly pinned: ReadonlyMap<string, Scalar>
  readonly lists: boolean
  /** The most rows that can match, where every key column is fixed or listed. */
  readonly atMostRows: number | undefined
}

/** A side to start from that may be small; `probe` says how to find out. */
export type Start =
  | { readonly kind: 'own'; readonly access: Access }
  | { readonly kind: 'related'; readonly related: Related; readonly other: TableInfo; readonly covered: readonly Predicate[] }

/**
 * How to read a page.
 * direct: one statement touches only what it answers (or nothing better is known).
 * search: some terms have no index on this order. Try the `starts` for a small side, else walk the order in bounded steps.
 */
export type Plan =
  | { readonly kind: 'direct'; readonly path: Path | undefined }
  | { readonly kind: 'search'; readonly starts: readonly Start[]; readonly walk: Access | undefined }

const SMALL_PRODUCT = 1000

export const flatten = (predicate: Predicate): readonly Predicate[] =>
  predicate.kind === 'and' ? predicate.terms.flatMap(flatten) : [predicate]

/** Columns that a condition fixes to one value: they take no part in an order. */
export const pinnedColumns = (terms: readonly Predicate[]): ReadonlyMap<string, Scalar> => {
  const pinned = new Map<string, Scalar>()
  for (const term of terms) if (term.kind === 'compare' && term.op === '=' && !pinned.has(term.column)) pinned.set(term.column, term.value)
  return pinned
}

export const accessBy = (info: TableInfo, path: Path, terms: readonly Predicate[]): Access => {
  const covered = new Set<Predicate>()
  const pinned = new Map<string, Scalar>()
  let lists = false
  let rows = 1
  let fixed = 0
  for (const column of path.columns) {
    const equal = terms.filter((term) => term.kind === 'compare' && term.op === '=' && term.column === column)
    const [first] = equal
    if (first?.kind === 'compare') {
      pinned.set(column, first.value)
      for (const term of equal) if (term.kind === 'compare' && term.value === first.value) covered.add(term)
    } else {
      const list = terms.find((term) => term.kind === 'in' && term.column === column)
      if (list?.kind !== 'in') {
        for (const term of terms) if (isRange(term, column)) covered.add(term)
        break
      }
      covered.add(list)
      lists = true
      rows *= list.values.length
    }
    fixed++
  }
  return {
    path,
    covered: [...covered],
    rest: terms.filter((term) => !covered.has(term)),
    pinned,
    lists,
    atMostRows: fixed >= info.key.length && path.index === undefined ? rows : undefined,
  }
}

const isRange = (term: Predicate, column: string): boolean =>
  term.kind === 'compare' && term.column === column && term.op !== '=' && term.op !== '!='

/** `order` is total; columns that a path's own terms fix take no part in it. */
export const planPage = (info: TableInfo, terms: readonly Predicate[], order: readonly OrderColumn[]): Plan => {
  const accesses: Access[] = []
  for (const path of info.paths) {
    const access = accessBy(info, path, terms)
    if (access.rest.length === 0 && follows(access, order)) return { kind: 'direct', path }
    accesses.push(access)
  }
  const byKey = accesses[0]
  if (byKey?.atMostRows !== undefined && byKey.atMostRows <= SMALL_PRODUCT) return { kind: 'direct', path: byKey.path }
  const walk = best(accesses.filter((access) => follows(access, order)))
  // Walking an order that a list already narrows would step over what the list excludes.
  if (walk?.lists) return { kind: 'direct', path: undefined }
  const starts = startsOf(info, terms, accesses, walk)
  return walk || starts.length > 0 ? { kind: 'search', starts, walk } : { kind: 'direct', path: undefined }
}

/** For a count no order is needed: the path that answers most terms is walked. */
export const planCount = (info: TableInfo, terms: readonly Predicate[]): { readonly starts: readonly Start[]; readonly walk: Access } => {
  const accesses = info.paths.map((path) => accessBy(info, path, terms))
  const walk = best(accesses) ?? accessBy(info, info.paths[0], terms)
  return { walk, starts: walk.rest.length === 0 ? [] : startsOf(info, terms, accesses, walk) }
}

const best = (accesses: readonly Access[]): Access | undefined =>
  accesses.reduce<Access | undefined>((a, b) => (a && a.covered.length >= b.covered.length ? a : b), undefined)

const follows = ({ path, pinned }: Access, total: readonly OrderColumn[]): boolean => {
  const order = total.filter(({ column }) => !pinned.has(column))
  if (!order.every((entry) => isNative(entry) && entry.descending === order[0]?.descending)) return false
  let next = 0
  for (const column of path.columns) {
    if (pinned.has(column)) continue
    if (order[next]?.column !== column) break
    next++
  }
  return next === order.length
}

const startsOf = (
  info: TableInfo,
  terms: readonly Predicate[],
  accesses: readonly Access[],
  walk: Access | undefined,
): readonly Start[] => [
  ...accesses.filter((access) => narrows(access, walk)).map((access): Start => ({ kind: 'own', access })),
  ...terms.flatMap((term) => (term.kind === 'related' ? relatedStart(info, term) : [])),
]

const narrows = (access: Access, walk: Access | undefined): boolean =>
  access.path !== walk?.path && access.covered.some((term) => !walk?.covered.includes(term))

const relatedStart = (info: TableInfo, related: Related): readonly Start[] => {
  if (related.negated || !Object.values(related.on).includes(info.key[0] ?? '')) return []
  const other = tableInfo(related.table as TableName)
  const terms = flatten(related.where)
  const access = best(other.paths.map((path) => accessBy(other, path, terms)))
  return access && access.covered.length > 0 ? [{ kind: 'related', related, other, covered: access.covered }] : []
}
