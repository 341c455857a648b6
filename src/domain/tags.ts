import { and, eq, isIn, not, type Predicate, related } from '../core/predicate.ts'
import { prefixBytes } from '../core/text-order.ts'
import type { Row } from '../storage/schema.ts'
import type { WriteTx } from '../storage/tables.ts'
import type { Tags } from './storage-backend.ts'
import { checker, TagSet, TagValue } from './validate.ts'

export type TaggedEntity = 'flow' | 'source' | 'webhook' | 'segment'
export type TagText = string | readonly string[]

/** One `tag.{name}=…` or `tag_exists.{name}=…` of a query (tams-behaviour.md 1.7). */
export type TagFilter =
  | { readonly kind: 'value'; readonly name: string; readonly values: readonly string[] }
  | { readonly kind: 'exists'; readonly name: string; readonly exists: boolean }

export const checkTagValue = checker(TagValue)
export const checkTagSet = checker(TagSet)

export const parseTags = (json: string): Tags => JSON.parse(json) as Tags

/**
 * One term per filter. `inTrash`: also on deleted rows, whose tags were deleted with them. Segments name their tags by `tag_id` and keep
 * them wherever they go.
 */
export const tagPredicates = (entity: TaggedEntity, filters: readonly TagFilter[], inTrash = false): Predicate[] =>
  filters.map((filter) => {
    const entity_id = entity === 'segment' ? 'tag_id' : 'id'
    const on = inTrash ? { entity_id, deletion_id: 'deletion_id' } : { entity_id }
    const named = and(eq('entity_type', entity), ...(inTrash ? [] : [eq('deletion_id', '')]), eq('name', filter.name))
    if (filter.kind === 'exists') return related('tags', on, named, !filter.exists)
    const valued = and(isIn('value_prefix', filter.values.map(valuePrefix)), isIn('value', filter.values), not(eq('empty_list', true)))
    return related('tags', on, and(named, valued))
  })

/** The same rule for tags that are not in a table (storage backends). */
export const matchesTags = (tags: Tags | undefined, filters: readonly TagFilter[]): boolean =>
  filters.every((filter) => {
    const value = tags && Object.hasOwn(tags, filter.name) ? tags[filter.name] : undefined
    if (filter.kind === 'exists') return (value !== undefined) === filter.exists
    const values = value === undefined ? [] : typeof value === 'string' ? [value] : value
    return values.some((text) => filter.values.includes(text))
  })

const valuePrefix = (value: string): string => prefixBytes(value, 64)

const tagRows = (entity: TaggedEntity, id: string, tags: Tags, deletionId = ''): Row<'tags'>[] =>
  Object.entries(tags).flatMap(([name, value]): Row<'tags'>[] => {
    const values = typeof value === 'string' ? [value] : value
    const row = { entity_type: entity, entity_id: id, deletion_id: deletionId, name }
    if (values.length === 0) return [{ ...row, position: 0, value_prefix: '', value: '', empty_list: true }]
    return values.map((text, position) => ({ ...row, position, value_prefix: valuePrefix(text), value: text, empty_list: false }))
  })

/** Makes the rows of the `tags` table equal to `tags`; only names whose value differs from `before` are touched. */
export const writeTags = async (tx: WriteTx, entity: TaggedEntity, id: string, before: Tags, tags: Tags): Promise<void> => {
  const changed = (name: string, a: Tags, b: Tags) => !Object.hasOwn(b, name) || JSON.stringify(a[name]) !== JSON.stringify(b[name])
  const gone = Object.keys(before).filter((name) => changed(name, before, tags))
  if (gone.length > 0)
    await tx.delete('tags', and(eq('entity_type', entity), eq('entity_id', id), eq('deletion_id', ''), isIn('name', gone)))
  const added = Object.fromEntries(Object.entries(tags).filter(([name]) => changed(name, tags, before)))
  const rows = tagRows(entity, id, added)
  if (rows.length > 0) await tx.insert('tags', rows)
}

/** Those of new records, by id. */
export const insertTags = async (
  tx: WriteTx,
  entity: TaggedEntity,
  tags: readonly (readonly [id: string, tags: Tags])[],
): Promise<void> => {
  const rows = tags.flatMap(([id, each]) => tagRows(entity, id, each))
  if (rows.length > 0) await tx.insert('tags', rows)
}

/** Tags go with their record to the trash (`to` is a deletion) and back (`to` is empty). */
export const moveTags = async (tx: WriteTx, entity: TaggedEntity, id: string, from: string, to: string, tags: Tags): Promise<void> => {
  const rows = tagRows(entity, id, tags, to)
  if (rows.length === 0) return
  await removeTags(tx, entity, id, from)
  await tx.insert('tags', rows)
}

export const removeTags = async (tx: WriteTx, entity: TaggedEntity, id: string, deletionId: string): Promise<void> => {
  await tx.delete('tags', and(eq('entity_type', entity), eq('entity_id', id), eq('deletion_id', deletionId)))
}

/** With the segments that have these `tag_id`s. */
export const removeSegmentTags = async (tx: WriteTx, tagIds: readonly string[]): Promise<void> => {
  if (tagIds.length > 0) await tx.delete('tags', and(eq('entity_type', 'segment'), isIn('entity_id', tagIds)))
}

// Object.fromEntries defines members, so that a tag named __proto__ is a tag like any other.
export const withTag = (tags: Tags, name: string, value: TagText): Tags =>
  Object.fromEntries([...Object.entries(tags).filter(([key]) => key !== name), [name, value]])

export const withoutTag = (tags: Tags, name: string): Tags => Object.fromEntries(Object.entries(tags).filter(([key]) => key !== name))
