import { createHash } from 'node:crypto'
import { findObjects, isControlled, type ObjectInstance, type ObjectRow, parseInstances } from '../../domain/media-object.ts'
import type { MediaStore } from '../../storage/media.ts'
import type { Row, TableName } from '../../storage/schema.ts'
import type { ReadTx } from '../../storage/tables.ts'
import type { Transform } from './rows.ts'

/** One backend whose bytes move into another. */
export interface Move {
  readonly from: MediaStore
  readonly to: MediaStore
}

/** The key that an object gets: its own, but where the new engine cannot hold that. Always the same for the same key. */
export const movedKey = ({ to }: Move, key: string): string => {
  try {
    to.checkKey?.(key)
    return key
  } catch {
    return `moved/${createHash('sha256').update(key).digest('hex')}`
  }
}

interface Moved {
  readonly before: ObjectInstance
  readonly after: ObjectInstance
}

/**
 * The instances of an object that are left once the bytes have moved. An instance that the new backend holds already stays, and the
 * moved one is not needed; a copy into either backend that is not made yet is given up.
 */
const moves = (row: Pick<ObjectRow, 'instances'>, move: Move | undefined): readonly Moved[] => {
  const instances = parseInstances(row)
  if (!move) return instances.map((each) => ({ before: each, after: each }))
  const { from, to } = move
  const inNew = (each: ObjectInstance) => isControlled(each) && each.storage_id === to.storageId
  const held = instances.some((each) => inNew(each) && isReady(each))
  const comes = instances.some((each) => isControlled(each) && each.storage_id === from.storageId && each.status !== 'copying')
  return instances.flatMap((before): Moved[] => {
    if (!isControlled(before) || (before.storage_id !== from.storageId && !inNew(before))) return [{ before, after: before }]
    if (inNew(before)) return isReady(before) || !comes ? [{ before, after: before }] : []
    if (held || before.status === 'copying') return []
    return [{ before, after: { ...before, storage_id: to.storageId, key: movedKey(move, before.key) } }]
  })
}

export const movedInstances = (row: Pick<ObjectRow, 'instances'>, move: Move | undefined): readonly ObjectInstance[] =>
  moves(row, move).map(({ after }) => after)

/** The row of the index after the move; undefined where nothing of it is left. */
export const movedRecord = (
  record: Row<'object_instances'>,
  object: ObjectRow | undefined,
  move: Move | undefined,
): Row<'object_instances'> | undefined => {
  const after = object && moves(object, move).find(({ before }) => hasInstance([before], record))?.after
  return after && isControlled(after) ? { ...record, storage_id: after.storage_id, media_key: after.key } : undefined
}

interface Place {
  readonly storage_id: string
  readonly media_key: string
}

const isReady = (instance: ObjectInstance): boolean => isControlled(instance) && instance.status === 'ready'

export const hasInstance = (instances: readonly ObjectInstance[], { storage_id, media_key }: Place): boolean =>
  instances.some((each) => isControlled(each) && each.storage_id === storage_id && each.key === media_key)

export const objectsOf = (tx: ReadTx, rows: readonly { readonly object_id: string }[]): Promise<Map<string, ObjectRow>> =>
  findObjects(tx, [...new Set(rows.map((row) => row.object_id))])

export type Transforms = { readonly [N in TableName]?: Transform<N> }

/** Rows that name places of bytes, or belong to one store alone. `ownMeta`: names of `meta` that stay behind. */
export const transformsFor = (move: Move | undefined, ownMeta: (name: string) => boolean): Transforms => ({
  meta: async (_, rows) => rows.filter(({ name }) => !ownMeta(name)),
  objects: async (_, rows) => rows.map((row) => ({ ...row, instances: JSON.stringify(movedInstances(row, move)) })),
  // What goes from the old backend was never brought to the new one, or goes there as a row that is too many.
  media_removals: async (tx, rows) => {
    const left = rows.filter((row) => row.storage_id !== move?.from.storageId)
    const objects = await objectsOf(tx, left)
    return left.filter((row) => !hasInstance(instancesAfter(objects.get(row.object_id), move), row))
  },
  media_copies: async (tx, rows) => {
    const objects = await objectsOf(tx, rows)
    const wanted = (row: Row<'media_copies'>) => hasInstance(instancesAfter(objects.get(row.object_id), move).filter(isCopying), row)
    return rows.filter(wanted)
  },
})

const isCopying = (instance: ObjectInstance): boolean => isControlled(instance) && instance.status === 'copying'
const instancesAfter = (object: ObjectRow | undefined, move: Move | undefined) => (object ? movedInstances(object, move) : [])
