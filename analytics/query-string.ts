import { invalid } from '../src/core/errors.ts'
import { TimeRange } from '../src/core/time-range.ts'
import { parseUuid, quote } from '../src/core/uuid.ts'
import { FILTERS, type FilterName, type Filters, type TagTerm } from './filters.ts'

export const ANSWER_FORMATS = ['json', 'csv', 'arrow', 'parquet'] as const
export type AnswerFormat = (typeof ANSWER_FORMATS)[number]

export interface ReportQuery {
  readonly filters: Filters
  /** Parameters of the report, as text. */
  readonly parameters: Readonly<Record<string, string>>
  readonly format: AnswerFormat | undefined
  readonly refresh: boolean
}

const URNS = /^urn:x-(nmos|tam):format:(video|audio|data|multi|image)$/

/**
 * The query of a report. Stricter than other queries of the service: what has no meaning for the report is refused, because a
 * misspelt filter would give a wrong number. `format` is the answer's where it is one of `ANSWER_FORMATS`, and the flow's where it is
 * a URN. Throws `invalid`, naming the parameter.
 */
export const parseReportQuery = (url: string, parameters: readonly string[], allowed: readonly FilterName[]): ReportQuery => {
  const texts: Record<string, string> = {}
  const filters = new Map<string, string>()
  const tags = new Map<string, TagTerm>()
  let format: AnswerFormat | undefined
  let refresh = false
  for (const { name, text, raw } of pairs(url)) {
    const answer = ANSWER_FORMATS.find((each) => each === text)
    if (name === 'format' && answer) format = answer
    else if (name === 'format' && !URNS.test(text))
      throw invalid(
        'format',
        `${quote(text)} is neither a format of the answer (${ANSWER_FORMATS.join(', ')}) nor the URN of a flow’s format`,
      )
    else if (name === 'refresh') refresh = parseBoolean(name, text)
    else if (name.startsWith('tag.') || name.startsWith('tag_exists.')) addTag(tags, name, text, raw)
    else if (isFilter(name) || name === 'format') filters.set(name === 'format' ? 'flow_format' : name, text)
    else if (parameters.includes(name)) texts[name] = text
    else if (name !== 'access_token') throw invalid(name, `is no parameter here; there are ${known(parameters, allowed)}`)
  }
  const refused = [...filters.keys(), ...(tags.size > 0 ? ['tag'] : [])].find((name) => !allowed.some((each) => each === name))
  if (refused !== undefined) throw invalid(refused, `is no filter of this report; there are ${known(parameters, allowed)}`)
  return { filters: parseFilters(filters, [...tags.values()]), parameters: texts, format, refresh }
}

const isFilter = (name: string): boolean => name !== 'tag' && FILTERS.some((each) => each === name)

const known = (parameters: readonly string[], allowed: readonly FilterName[]): string =>
  [...parameters, ...allowed.map((name) => (name === 'tag' ? 'tag.{name}, tag_exists.{name}' : name)), 'format', 'refresh'].join(', ')

interface Pair {
  readonly name: string
  readonly text: string
  readonly raw: string
}

const pairs = (url: string): Pair[] => {
  const start = url.indexOf('?')
  const text =
    start < 0
      ? ''
      : url
          .slice(start + 1)
          .split('#', 1)
          .join()
  return text
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const at = part.indexOf('=')
      const name = decode(at < 0 ? part : part.slice(0, at), 'query')
      const raw = at < 0 ? '' : part.slice(at + 1)
      return { name, raw, text: decode(raw, name) }
    })
}

const decode = (raw: string, name: string): string => {
  try {
    const text = decodeURIComponent(raw.replaceAll('+', ' '))
    if (text.isWellFormed()) return text
  } catch (cause) {
    throw invalid(name, `${quote(raw)} is not percent-encoded UTF-8`, cause)
  }
  throw invalid(name, `${quote(raw)} is ill-formed Unicode`)
}

const parseBoolean = (name: string, text: string): boolean => {
  if (text !== 'true' && text !== 'false') throw invalid(name, `${quote(text)} is not true or false`)
  return text === 'true'
}

// A comma separates values, and may also be part of one where it came encoded: both readings count, as in the lists of flows.
const addTag = (tags: Map<string, TagTerm>, name: string, text: string, raw: string): void => {
  if (name.startsWith('tag_exists.')) {
    tags.set(name, { name: name.slice('tag_exists.'.length), exists: parseBoolean(name, text) })
    return
  }
  const before = tags.get(name)
  const values = raw.split(',').flatMap((part) => {
    const value = decode(part, name)
    return value.includes(',') ? [value, ...value.split(',')] : [value]
  })
  const all = new Set([...(before && 'values' in before ? before.values : []), ...values])
  tags.set(name, { name: name.slice('tag.'.length), values: [...all] })
}

const parseFilters = (texts: ReadonlyMap<string, string>, tags: readonly TagTerm[]): Filters => {
  const startUs = parseTime('start_time', texts.get('start_time'))
  const endUs = parseTime('end_time', texts.get('end_time'))
  if (startUs !== undefined && endUs !== undefined && endUs < startUs) throw invalid('end_time', 'lies before start_time')
  const sourceId = parseId('source_id', texts)
  const flowId = parseId('flow_id', texts)
  const storageBackendId = parseId('storage_backend_id', texts)
  const flowFormat = texts.get('flow_format')
  if (flowFormat !== undefined && !URNS.test(flowFormat))
    throw invalid('flow_format', `${quote(flowFormat)} is not the URN of a flow’s format`)
  return {
    range: TimeRange.parse(texts.get('timerange') || '_'),
    tags,
    ...(startUs !== undefined && { startUs }),
    ...(endUs !== undefined && { endUs }),
    ...(sourceId !== undefined && { sourceId }),
    ...(flowId !== undefined && { flowId }),
    ...(storageBackendId !== undefined && { storageBackendId }),
    ...(flowFormat !== undefined && { flowFormat }),
  }
}

const parseId = (name: string, texts: ReadonlyMap<string, string>): string | undefined => {
  const text = texts.get(name)
  return text === undefined ? undefined : parseUuid(text, name)
}

const DATE_TIME = /^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|z|[+-]\d\d:\d\d)$/

/** Microseconds since the Unix epoch; finer digits are dropped. */
const parseTime = (name: string, text: string | undefined): bigint | undefined => {
  if (text === undefined) return undefined
  // A plus sign that was not encoded arrives as a space.
  const match = DATE_TIME.exec(text.replace(/ (\d\d:\d\d)$/, '+$1'))
  const ms = match ? Date.parse(`${match[1]?.replace(' ', 'T').toUpperCase()}${match[3]?.toUpperCase()}`) : Number.NaN
  if (Number.isNaN(ms)) throw invalid(name, `${quote(text)} is not a date and time of RFC 3339, such as 2026-11-21T08:00:00Z`)
  return BigInt(ms) * 1000n + BigInt((match?.[2] ?? '').padEnd(6, '0').slice(0, 6))
}
