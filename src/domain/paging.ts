import { invalid } from '../core/errors.ts'
import { decodePageKey, encodePageKey } from '../core/page-key.ts'
import type { Value } from '../core/predicate.ts'
import { prefixBytes } from '../core/text-order.ts'
import type { Settings } from './deps.ts'

/** Paging parameters of a listing, already parsed; `limit` is what the client asked for. */
export interface PageRequest {
  readonly limit?: number
  readonly page?: string
  readonly reverse?: boolean
}

/** One page of a listing; `nextKey` is there when more may follow. */
export interface Listing<T> {
  readonly items: readonly T[]
  readonly limit: number
  readonly nextKey?: string
}

export const effectiveLimit = (request: PageRequest, settings: Settings): number =>
  Math.min(request.limit ?? settings.pageLimitDefault, settings.pageLimitMax)

/** Values of a page key made by `encodePageKey` for the same `scope`; throws `invalid` on `page` otherwise. */
export const pageValues = (scope: string, request: PageRequest, count: number): readonly Value[] | undefined => {
  if (request.page === undefined) return undefined
  const values = decodePageKey(scope, request.page)
  if (values.length !== count) throw invalid('page', 'is no key of this listing')
  return values
}

export const nextKey = (scope: string, values: readonly Value[] | undefined): { readonly nextKey?: string } =>
  values ? { nextKey: encodePageKey(scope, values) } : {}

/**
 * What labels sort by: the first 64 bytes (a page key carries no more), by code point, with unlabelled items after all others
 * (tams-behaviour.md 1.6).
 */
export const labelSort = (label: string | null | undefined): string => (label == null ? '1' : `0${prefixBytes(label, 64)}`)
