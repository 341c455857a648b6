import { and, compare, eq, isIn, not, type Predicate, related } from '../src/core/predicate.ts'
import { prefixBytes } from '../src/core/text-order.ts'
import type { TimeRange } from '../src/core/time-range.ts'

/** Filters that reports have in common; `tag` stands for all of `tag.{name}` and `tag_exists.{name}`. */
export const FILTER_TEXTS = {
  start_time: 'created at or after (RFC 3339)',
  end_time: 'created before (RFC 3339)',
  timerange: 'media time, as a time range of the specification',
  source_id: 'of flows of this source',
  flow_id: 'of this flow',
  flow_format: 'of flows of this format (a URN; `format=` takes it as well)',
  storage_backend_id: 'with an object in this storage backend',
  tag: 'of flows with a tag: `tag.{name}={value},…`, `tag_exists.{name}=true|false`',
} as const
export type FilterName = keyof typeof FILTER_TEXTS
export const FILTERS = Object.keys(FILTER_TEXTS) as readonly FilterName[]

export type TagTerm = { readonly name: string; readonly values: readonly string[] } | { readonly name: string; readonly exists: boolean }

export interface Filters {
  /** On `created`, microseconds since the Unix epoch: `startUs` is included, `endUs` is not. */
  readonly startUs?: bigint
  readonly endUs?: bigint
  /** On media time; eternity when not given. */
  readonly range: TimeRange
  readonly sourceId?: string
  readonly flowId?: string
  readonly flowFormat?: string
  readonly storageBackendId?: string
  readonly tags: readonly TagTerm[]
}

/** Which flows are meant, by what they are (not by when they were made). */
export const flowsMatching = (filters: Filters): Predicate =>
  and(
    ...(filters.flowId === undefined ? [] : [eq('id', filters.flowId)]),
    ...(filters.sourceId === undefined ? [] : [eq('source_id', filters.sourceId)]),
    ...(filters.flowFormat === undefined ? [] : [eq('format', filters.flowFormat)]),
    ...filters.tags.map(tagged),
  )

/** Flows by all filters: created in time, extent overlapping the range, an object in the backend. */
export const flowRows = (filters: Filters): Predicate =>
  and(
    flowsMatching(filters),
    createdWithin(filters),
    overlapping(filters.range),
    ...(filters.storageBackendId === undefined
      ? []
      : [related('object_refs', { flow_id: 'id', timeline_id: 'timeline_id' }, storedIn('object_id', filters.storageBackendId))]),
  )

/** Segments by all filters but those of their flows, which are chosen by `flowsMatching`. */
export const segmentRows = (filters: Filters): Predicate =>
  and(
    ...(filters.flowId === undefined ? [] : [eq('flow_id', filters.flowId)]),
    createdWithin(filters),
    overlapping(filters.range),
    ...(filters.storageBackendId === undefined ? [] : [storedIn('object_id', filters.storageBackendId)]),
  )

/** Objects by all filters; those of flows hold where a segment of such a flow uses the object. */
export const objectRows = (filters: Filters): Predicate => {
  const ofFlow = flowsMatching(filters)
  return and(
    createdWithin(filters),
    ...(filters.storageBackendId === undefined ? [] : [storedIn('id', filters.storageBackendId)]),
    ...(isEverything(ofFlow)
      ? []
      : [
          related(
            'object_refs',
            { object_id: 'id' },
            related('flows', { id: 'flow_id', timeline_id: 'timeline_id' }, and(eq('deletion_id', ''), ofFlow)),
          ),
        ]),
  )
}

export const createdWithin = ({ startUs, endUs }: Filters): Predicate =>
  and(
    ...(startUs === undefined ? [] : [compare('created', '>=', startUs)]),
    ...(endUs === undefined ? [] : [compare('created', '<', endUs)]),
  )

const overlapping = (range: TimeRange): Predicate => {
  if (range.isEmpty) return { kind: 'or', terms: [] }
  return and(
    ...(range.endNs === undefined ? [] : [compare('start_ns', '<', range.endNs)]),
    ...(range.startNs === undefined ? [] : [compare('end_ns', '>', range.startNs)]),
  )
}

const storedIn = (column: string, storageId: string): Predicate =>
  related('object_instances', { object_id: column }, eq('storage_id', storageId))

// The same rule as `tag.{name}=` of the lists of flows.
const tagged = (term: TagTerm): Predicate => {
  const named = and(eq('entity_type', 'flow'), eq('deletion_id', ''), eq('name', term.name))
  if ('exists' in term) return related('tags', { entity_id: 'id' }, named, !term.exists)
  const prefixes = term.values.map((value) => prefixBytes(value, 64))
  return related(
    'tags',
    { entity_id: 'id' },
    and(named, isIn('value_prefix', prefixes), isIn('value', term.values), not(eq('empty_list', true))),
  )
}

/** Whether a condition holds for all rows by its form. */
export const isEverything = (predicate: Predicate): boolean => predicate.kind === 'and' && predicate.terms.length === 0
