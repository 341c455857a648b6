// The paging contract of every listing: a cursor in `tabular-next-key`, 0 first, opaque and unsigned.
import { type Headers, headerFlag, headerInteger, headerText, requiredInteger } from './headers.ts'

export interface PageRequest {
  readonly maxKeys: number
  readonly nextKey: bigint
  /** One name exactly, instead of a prefix. */
  readonly exact?: string | undefined
  readonly prefix?: string | undefined
  readonly countOnly?: boolean
  /** Tables and projections: fill in rows, bytes and sorting. */
  readonly stats?: boolean
}

const flag = (value: boolean) => (value ? 'True' : 'False')

export const encodePageRequest = (page: PageRequest): Record<string, string> => ({
  'tabular-max-keys': String(page.maxKeys),
  'tabular-next-key': String(page.nextKey),
  ...(page.exact === undefined ? { 'tabular-name-prefix': page.prefix ?? '' } : { 'tabular-name-exact-match': page.exact }),
  'tabular-list-count-only': flag(page.countOnly ?? false),
  'tabular-include-list-stats': flag(page.stats ?? false),
})

export const decodePageRequest = (headers: Headers): PageRequest => ({
  maxKeys: Number(headerInteger(headers, 'tabular-max-keys') ?? 10_000n),
  nextKey: headerInteger(headers, 'tabular-next-key') ?? 0n,
  exact: headerText(headers, 'tabular-name-exact-match'),
  prefix: headerText(headers, 'tabular-name-prefix'),
  countOnly: headerFlag(headers, 'tabular-list-count-only'),
  stats: headerFlag(headers, 'tabular-include-list-stats'),
})

export interface PageAnswer {
  readonly nextKey: bigint
  readonly truncated: boolean
  /** Only when the count alone was asked for. */
  readonly count?: number | undefined
}

export const encodePageAnswer = (answer: PageAnswer): Record<string, string> => ({
  'tabular-next-key': String(answer.nextKey),
  'tabular-is-truncated': String(answer.truncated),
  ...(answer.count === undefined ? {} : { 'tabular-list-count': String(answer.count) }),
})

export const decodePageAnswer = (headers: Headers): PageAnswer => {
  const count = headerInteger(headers, 'tabular-list-count')
  return {
    nextKey: requiredInteger(headers, 'tabular-next-key'),
    truncated: headerText(headers, 'tabular-is-truncated') === 'true',
    count: count === undefined ? undefined : Number(count),
  }
}
