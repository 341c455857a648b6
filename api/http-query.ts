import { invalid } from '../src/core/errors.ts'
import { TimeRange } from '../src/core/time-range.ts'
import { isUuid, quote } from '../src/core/uuid.ts'
import type { UrlOptions } from '../src/domain/get-urls.ts'
import type { PageRequest } from '../src/domain/paging.ts'
import type { TagFilter } from '../src/domain/tags.ts'
import { MIME_PATTERN } from '../src/domain/validate.ts'

interface Parameter {
  readonly name: string
  /** As sent, still percent-encoded: only here can a separating comma be told from one inside a value. */
  readonly raw: string
}

/**
 * The query of a request, read from the URL as it was sent. Unknown parameters are ignored; invalid values of known ones throw
 * `invalid`. Of a repeated single-valued parameter the last counts; repeated lists are united.
 */
export class HttpQuery {
  private readonly parameters: readonly Parameter[]

  constructor(url: string) {
    const start = url.indexOf('?')
    const end = url.indexOf('#')
    const text = start < 0 ? '' : url.slice(start + 1, end < 0 ? undefined : end)
    this.parameters = text === '' ? [] : text.split('&').flatMap(parameter)
  }

  text(name: string): string | undefined {
    const last = this.parameters.findLast((item) => item.name === name)
    return last === undefined ? undefined : decode(last.raw, name)
  }

  boolean(name: string): boolean | undefined {
    const text = this.text(name)?.toLowerCase()
    if (text === undefined) return undefined
    if (text === 'true' || text === 'false') return text === 'true'
    throw invalid(name, `${quote(text)} is not true or false`)
  }

  integer(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : undefined
    if (value === undefined) throw invalid(name, `${quote(text)} is not a whole number`)
    return value
  }

  uuid(name: string): string | undefined {
    const text = this.text(name)
    if (text !== undefined && !isUuid(text)) throw invalid(name, `${quote(text)} is not a lower-case UUID (versions 1 to 5)`)
    return text
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = values.find((item) => item === text)
    if (value === undefined) throw invalid(name, `${quote(text)} is not one of ${values.join(', ')}`)
    return value
  }

  mimeType(name: string): string | undefined {
    const text = this.text(name)
    if (text !== undefined && !new RegExp(MIME_PATTERN).test(text))
      throw invalid(name, `${quote(text)} is not a MIME type without parameters`)
    return text
  }

  /** A moment as RFC 3339 text, in microseconds since the Unix epoch. */
  time(name: string, required: true): bigint
  time(name: string): bigint | undefined
  time(name: string, required?: true): bigint | undefined {
    const text = this.text(name)
    if (text === undefined && !required) return undefined
    if (text === undefined) throw invalid(name, 'is required')
    // A raw plus sign of a time zone has become a space.
    const match = /^(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+ -]\d\d:\d\d)$/.exec(text)
    const ms = match ? Date.parse(`${match[1]}${match[3]?.replace(' ', '+')}`.toUpperCase()) : Number.NaN
    if (Number.isNaN(ms)) throw invalid(name, `${quote(text)} is not a time such as 2026-03-02T09:15:00Z`)
    return BigInt(ms) * 1000n + BigInt((match?.[2] ?? '').padEnd(6, '0').slice(0, 6))
  }

  /** Default: eternity. An empty value is like an absent parameter. */
  timerange(name = 'timerange'): TimeRange {
    const text = this.text(name)
    return text === undefined || text === '' ? TimeRange.eternity : TimeRange.parse(text, name)
  }

  /** undefined: absent; empty: the empty list. */
  uuidList(name: string): string[] | undefined {
    const items = this.rawList(name)?.flatMap((raw) => decode(raw, name).split(','))
    const wrong = items?.find((item) => !isUuid(item))
    if (wrong !== undefined) throw invalid(name, `${quote(wrong)} is not a lower-case UUID (versions 1 to 5)`)
    return items
  }

  /**
   * A list of texts. Many clients percent-encode the separating commas as well: the values are both readings together
   * (tams-behaviour.md 1.7).
   */
  textList(name: string): string[] | undefined {
    const raws = this.rawList(name)
    return raws && [...new Set(raws.flatMap((raw) => readings(raw, name)))]
  }

  /** `{prefix}.{name}=…` and `{prefix}_exists.{name}=…`; the name is everything behind the first dot. */
  tagFilters(prefix: string): TagFilter[] {
    const filters = new Map<string, TagFilter>()
    for (const { name, raw } of this.parameters) {
      if (name.startsWith(`${prefix}.`)) {
        const tag = name.slice(prefix.length + 1)
        const before = filters.get(name)
        const values = raw.split(',').flatMap((part) => readings(part, name))
        filters.set(name, {
          kind: 'value',
          name: tag,
          values: [...new Set([...(before?.kind === 'value' ? before.values : []), ...values])],
        })
      } else if (name.startsWith(`${prefix}_exists.`)) {
        const text = decode(raw, name).toLowerCase()
        if (text !== 'true' && text !== 'false') throw invalid(name, `${quote(text)} is not true or false`)
        filters.set(name, { kind: 'exists', name: name.slice(prefix.length + 8), exists: text === 'true' })
      }
    }
    if (filters.size > MAX_FILTERS) throw invalid(prefix, `${filters.size} tag filters in one query; at most ${MAX_FILTERS} are answered`)
    return [...filters.values()]
  }

  paging(): PageRequest {
    const limit = this.integer('limit')
    if (limit !== undefined && limit <= 0) throw invalid('limit', `${limit} is not above 0`)
    const page = this.text('page')
    const reverse = this.boolean('reverse_order')
    return { ...(limit !== undefined && { limit }), ...(page !== undefined && { page }), ...(reverse !== undefined && { reverse }) }
  }

  /** Which URLs of objects to show. `strict`: without what is an extension. */
  urlOptions(strict: boolean): UrlOptions {
    const acceptGetUrls = this.textList('accept_get_urls')
    const acceptStorageIds = this.uuidList('accept_storage_ids')
    const presigned = this.boolean('presigned')
    const headUrls = strict ? undefined : this.boolean('head_urls')
    return {
      ...(acceptGetUrls && { acceptGetUrls }),
      ...(acceptStorageIds && { acceptStorageIds }),
      ...(presigned !== undefined && { presigned }),
      ...(headUrls !== undefined && { headUrls }),
      verboseStorage: this.boolean('verbose_storage') ?? false,
      backendTags: this.tagFilters('storage_backend_tag'),
    }
  }

  /** Parts between raw commas, of all repetitions; empty parts say nothing. */
  private rawList(name: string): string[] | undefined {
    const given = this.parameters.filter((item) => item.name === name)
    return given.length === 0 ? undefined : given.flatMap((item) => item.raw.split(',')).filter((part) => part !== '')
  }

  /**
   * The same query with another `page`, for a `Link`: no raw comma or semicolon in it, and no credentials. A list goes in as one
   * parameter per value, so that a comma inside a value survives; where that grows too long for a header, with encoded commas.
   */
  forPage(page: string): string {
    const kept = this.parameters.filter(({ name }) => name !== 'page' && name !== 'access_token')
    const last = (items: readonly string[]) => [...items, `page=${encodeURIComponent(page)}`].join('&')
    const repeated = last(kept.flatMap(({ name, raw }) => (isList(name) ? raw.split(',') : [raw]).map((part) => pair(name, part))))
    return repeated.length <= LINK_QUERY_LIMIT ? repeated : last(kept.map(({ name, raw }) => pair(name, raw)))
  }
}

/** Each is a look-up for every item that is examined. */
const MAX_FILTERS = 32

/** Of a `Link` header's URL, so that all headers together stay below 2 KB. */
const LINK_QUERY_LIMIT = 1000

const isList = (name: string): boolean => /^(flow_|storage_backend_)?tag\./.test(name) || LISTS.has(name)
const LISTS = new Set(['accept_get_urls', 'accept_storage_ids', 'collected_by_ids'])

const pair = (name: string, raw: string): string => `${encodeURIComponent(name)}=${raw.replace(UNSAFE, encodeCharacter)}`
// Beside the characters that a header or its Link grammar cannot hold: brackets and colons of time ranges stay readable.
const UNSAFE = /[,;<>"\s\\^`{|}]|[^\x21-\x7e]/gu
const encodeCharacter = (character: string): string =>
  [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`).join('')

const parameter = (text: string): Parameter[] => {
  if (text === '') return []
  const at = text.indexOf('=')
  const name = at < 0 ? text : text.slice(0, at)
  return [{ name: decode(name, 'query'), raw: at < 0 ? '' : text.slice(at + 1) }]
}

const readings = (raw: string, name: string): string[] => {
  const text = decode(raw, name)
  return text.includes(',') ? [text, ...text.split(',')] : [text]
}

/** `+` is a space in a query. Throws `invalid` for a percent sign that encodes no UTF-8. */
const decode = (raw: string, name: string): string => {
  try {
    const text = decodeURIComponent(raw.replaceAll('+', ' '))
    if (text.isWellFormed()) return text
  } catch (cause) {
    throw invalid(name, `${quote(raw)} is not percent-encoded UTF-8`, cause)
  }
  throw invalid(name, `${quote(raw)} is ill-formed Unicode`)
}
