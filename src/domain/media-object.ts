import { and, eq, everything, isIn, not, type Predicate, related } from '../core/predicate.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import { objectsDeleted } from './extension-events.ts'
import { listAll } from './list-all.ts'
import { appendEvents } from './record.ts'

export type ObjectRow = Row<'objects'>

/** A place where all bytes of an object can be read; all instances of an object are identical. */
export type ObjectInstance =
  /**
   * In a storage backend of ours. `copying` until its bytes are verified, `missing` when a reconciliation did not find them: not
   * advertised, not counted. `size` in bytes, once it is known.
   */
  | { readonly storage_id: string; readonly key: string; readonly status: 'ready' | 'copying' | 'missing'; readonly size?: number }
  /** Somewhere else, named by a client, its life cycle not ours. */
  | { readonly url: string; readonly label: string }

export const parseInstances = (row: Pick<ObjectRow, 'instances'>): ObjectInstance[] => JSON.parse(row.instances) as ObjectInstance[]
export type ControlledInstance = Extract<ObjectInstance, { storage_id: string }>
export const isControlled = (instance: ObjectInstance): instance is ControlledInstance => 'storage_id' in instance

/** Rows of objects that are not in the trash, by id. */
export const findObjects = async (tx: ReadTx, ids: readonly string[]): Promise<Map<string, ObjectRow>> => {
  if (ids.length === 0) return new Map()
  if (ids.length === 1) {
    const row = await tx.find('objects', [ids[0] ?? '', ''])
    return row ? new Map([[row.id, row]]) : new Map()
  }
  const { rows } = await tx.list('objects', { where: and(isIn('id', ids), eq('deletion_id', '')), limit: ids.length })
  return new Map(rows.map((row) => [row.id, row]))
}

/** Which of these objects live flows refer to, by other timelines than `besides`. */
export const referredTo = async (tx: ReadTx, ids: readonly string[], besides?: string): Promise<ReadonlySet<string>> => {
  if (ids.length === 0) return new Set()
  const live = related('flows', { id: 'flow_id', timeline_id: 'timeline_id' }, eq('deletion_id', ''))
  const terms = [isIn('object_id', ids), live, ...(besides === undefined ? [] : [not(eq('timeline_id', besides))])]
  const rows = await listAll(tx, 'object_refs', { columns: ['object_id'], where: and(...terms), limit: MANY })
  return new Set(rows.map((row) => row.object_id))
}

const MANY = 1_000_000

export const objectLocks = (ids: Iterable<string>): string[] => [...new Set(ids)].sort().map((id) => `object:${id}`)

export interface RemovalOptions {
  /** Nobody is told: they were not to be seen any more. */
  readonly silent?: boolean
}

/**
 * Removes objects and has their bytes deleted once this transaction is durable. The caller has made sure that nothing refers
 * to them, and holds their locks.
 */
export const removeObjects = async (
  tx: WriteTx,
  nowUs: bigint,
  rows: readonly ObjectRow[],
  { silent = false }: RemovalOptions = {},
): Promise<void> => {
  if (rows.length === 0) return
  const ids = rows.map((row) => row.id)
  const removals = rows.flatMap((row) =>
    parseInstances(row)
      .filter(isControlled)
      .map(
        (instance): Row<'media_removals'> => ({
          id: `${instance.storage_id} ${instance.key}`,
          storage_id: instance.storage_id,
          media_key: instance.key,
          object_id: row.id,
          created: nowUs,
        }),
      ),
  )
  await tx.delete('objects', and(isIn('id', ids), eq('deletion_id', '')))
  for (const { storage_id, media_key } of removals)
    await tx.delete('object_instances', and(eq('storage_id', storage_id), eq('media_key', media_key)))
  await tx.delete('object_access', isIn('object_id', ids))
  await dropFailedCopies(tx, isIn('object_id', ids))
  await tx.put('media_removals', removals)
  if (!silent) await appendEvents(tx, nowUs, objectsDeleted(rows))
}

/**
 * To be called where instances go. A copy that may still be running keeps its row: the worker that runs it finds its target gone and
 * has the bytes deleted, and until then the row keeps their key from being given away again.
 */
export const dropFailedCopies = async (tx: WriteTx, of: Predicate): Promise<void> => {
  await tx.delete('media_copies', and(of, eq('status', 'error')))
}

const NONE: ReadonlySet<string> = new Set()

/**
 * Counts segments of a timeline in or out of the objects they use. Gives the ids that nothing refers to any more. The caller
 * holds the locks of the objects. `unused`: objects that nothing refers to, as this transaction sees it.
 */
export const changeReferences = async (
  tx: WriteTx,
  flow: { readonly id: string; readonly timeline_id: string },
  changes: ReadonlyMap<string, bigint>,
  unused: ReadonlySet<string> = NONE,
): Promise<string[]> => {
  const changed = [...changes.keys()].filter((id) => changes.get(id) !== 0n)
  const refer = (id: string, count: bigint) => ({ object_id: id, flow_id: flow.id, timeline_id: flow.timeline_id, count })
  const first = changed.filter((id) => unused.has(id)).map((id) => refer(id, changes.get(id) ?? 0n))
  if (first.length > 0) await tx.insert('object_refs', first, { vacant: true })
  const ids = changed.filter((id) => !unused.has(id))
  if (ids.length === 0) return []
  const { rows } = await tx.list('object_refs', {
    where: and(isIn('object_id', ids), eq('flow_id', flow.id), eq('timeline_id', flow.timeline_id)),
    limit: ids.length,
  })
  const before = new Map(rows.map((row) => [row.object_id, row.count]))
  const kept: Row<'object_refs'>[] = []
  const gone: string[] = []
  for (const id of ids) {
    const count = (before.get(id) ?? 0n) + (changes.get(id) ?? 0n)
    if (count > 0n) kept.push(refer(id, count))
    else gone.push(id)
  }
  if (kept.length > 0) await tx.put('object_refs', kept)
  if (gone.length === 0) return []
  await tx.delete('object_refs', and(isIn('object_id', gone), eq('flow_id', flow.id), eq('timeline_id', flow.timeline_id)))
  const referenced = related('object_refs', { object_id: 'id' }, everything)
  const { rows: used } = await tx.list('objects', {
    columns: ['id'],
    where: and(isIn('id', gone), eq('deletion_id', ''), referenced),
    limit: gone.length,
  })
  const stillUsed = new Set(used.map((row) => row.id))
  return gone.filter((id) => !stillUsed.has(id))
}
