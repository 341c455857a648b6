import { invalid, notFound } from '../core/errors.ts'
import { quote } from '../core/uuid.ts'
import type { WriteTx } from '../storage/tables.ts'
import { COLLECTIONS_LOCK, checkMembers } from './collections.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { type FlowRow, getFlow, getWritableFlow } from './flow.ts'
import { flowCollection, updateFlow } from './flow-save.ts'
import { type CollectionItem, FlowCollection } from './flow-schema.ts'
import { tagOf } from './source.ts'
import type { Tags } from './storage-backend.ts'
import { parseTags, type TagText, withoutTag, withTag } from './tags.ts'
import { checker } from './validate.ts'

const checkCollection = checker(FlowCollection)
type BitRate = 'max_bit_rate' | 'avg_bit_rate'

/** Single members of a flow (tams-behaviour.md 5.6 to 5.9). Every call throws `not_found`; every change also `read_only` and `invalid`. */
export const flowPropertyUseCases = ({ tables, clock }: Deps) => {
  const read = <T>(context: Context, id: string, pick: (row: FlowRow) => T): Promise<T> =>
    tables.read(async (tx) => pick(await getFlow(tx, context, id)))

  /** `make` runs once the flow is known to be writable: 404, then 403, then 400. */
  const change = (
    context: Context,
    id: string,
    action: string,
    make: (row: FlowRow, tx: WriteTx) => Partial<FlowRow> | Promise<Partial<FlowRow>>,
    find = getWritableFlow,
  ): Promise<void> =>
    tables.write(async (tx) => {
      await tx.lock([`flow:${id}`])
      const before = await find(tx, context, id)
      await updateFlow(tx, context, clock.nowUs(), before, await make(before, tx), { action })
    })

  return {
    tags: (context: Context, id: string): Promise<Tags> => read(context, id, (row) => parseTags(row.tags)),

    tag: (context: Context, id: string, name: string): Promise<TagText> =>
      read(context, id, (row) => {
        const value = tagOf(parseTags(row.tags), name)
        if (value === undefined) throw notFound(`Tag "${name}" of flow ${id}`)
        return value
      }),

    putTag: (context: Context, id: string, name: string, check: () => TagText) =>
      change(context, id, 'flow.tag.set', (row) => ({ tags: JSON.stringify(withTag(parseTags(row.tags), name, check())) })),

    /** All tags at once. */
    putTags: (context: Context, id: string, check: () => Tags) =>
      change(context, id, 'flow.tags.set', () => ({ tags: JSON.stringify(check()) })),

    deleteTag: (context: Context, id: string, name: string) =>
      change(context, id, 'flow.tag.delete', (row) => {
        const tags = parseTags(row.tags)
        if (tagOf(tags, name) === undefined) throw notFound(`Tag "${name}" of flow ${id}`)
        return { tags: JSON.stringify(withoutTag(tags, name)) }
      }),

    text: (context: Context, id: string, member: 'label' | 'description') => read(context, id, (row) => row[member]),

    setText: (context: Context, id: string, member: 'label' | 'description', check: () => string | null) =>
      change(context, id, `flow.${member}.set`, () => ({ [member]: check() })),

    readOnly: (context: Context, id: string): Promise<boolean> => read(context, id, (row) => row.read_only),

    /** The way out of a read-only flow, so it works on one. */
    setReadOnly: (context: Context, id: string, check: () => boolean) =>
      change(context, id, 'flow.read_only.set', () => ({ read_only: check() }), getFlow),

    bitRate: (context: Context, id: string, member: BitRate): Promise<number | null> =>
      read(context, id, (row) => (row[member] === null ? null : Number(row[member]))),

    setBitRate: (context: Context, id: string, member: BitRate, check: () => number | null) =>
      change(context, id, `flow.${member}.set`, (row) => {
        const value = check()
        if (member === 'avg_bit_rate' && row.profile_id !== null)
          throw invalid('avg_bit_rate', `belongs to profile ${row.profile_id}, which the flow is linked to`)
        return { [member]: value === null ? null : BigInt(value) }
      }),

    collection: (context: Context, id: string): Promise<CollectionItem[]> => read(context, id, flowCollection),

    /** An empty list is the same as no collection. */
    setCollection: (context: Context, id: string, body: () => unknown) =>
      change(context, id, 'flow.collection.set', async (row, tx) => {
        const members = checkCollection(body())
        await tx.lock([`source:${row.source_id}`, ...members.map((member) => `flow:${member.id}`), COLLECTIONS_LOCK])
        await checkMembers(tx, id, members)
        return { flow_collection: members.length === 0 ? null : JSON.stringify(members) }
      }),
  }
}

export const checkText = (value: unknown, member: string): string => {
  if (typeof value === 'string') return value
  throw invalid(member, `${quote(value)} is not a JSON string`)
}

export const checkBoolean = (value: unknown): boolean => {
  if (typeof value === 'boolean') return value
  throw invalid('read_only', `${quote(value)} is not a JSON boolean`)
}

export const checkBitRate = (value: unknown, member: BitRate): number => {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw invalid(member, `${quote(value)} is not a whole number of at least 0`)
}
