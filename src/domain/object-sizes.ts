import { and, eq, isIn } from '../core/predicate.ts'
import type { Row } from '../storage/schema.ts'
import type { WriteTx } from '../storage/tables.ts'
import {
  type ControlledInstance,
  findObjects,
  isControlled,
  type ObjectInstance,
  type ObjectRow,
  objectLocks,
  parseInstances,
} from './media-object.ts'

/** What was found out about the bytes of one controlled instance. */
export interface InstanceSize {
  readonly object_id: string
  readonly storage_id: string
  readonly key: string
  /** Bytes. */
  readonly size: number
}

/**
 * Writes sizes where they are kept: with the instance, in the index of the backend and, as that of its first instance, with the
 * object. What has gone or moved since is left out. Objects of these and of `also` that still lack a size are looked at again at
 * `nextLook`; the others need no more looks. Takes the locks of the objects.
 */
export const recordSizes = async (
  tx: WriteTx,
  sizes: readonly InstanceSize[],
  nextLook: (row: ObjectRow) => bigint | null = ({ size_due }) => size_due,
  also: readonly string[] = [],
): Promise<void> => {
  const ids = [...new Set([...sizes.map((each) => each.object_id), ...also])]
  await tx.lock(objectLocks(ids))
  const rows = await findObjects(tx, ids)
  const byPlace = new Map(sizes.map((each) => [placeOf(each), each.size]))
  const changed: ObjectRow[] = []
  for (const row of rows.values()) {
    const instances = parseInstances(row).map((instance) => withSize(instance, byPlace))
    const size = instances.filter(isControlled).find((instance) => instance.size !== undefined)?.size
    const sized = { ...row, instances: JSON.stringify(instances), size: size === undefined ? row.size : BigInt(size) }
    const waits = row.size_due !== null && instances.some(lacksSize)
    changed.push({ ...sized, size_due: waits ? nextLook(row) : null })
  }
  await tx.put('objects', changed)
  await indexSizes(tx, sizes)
}

/** Whether there are bytes of ours whose length is not known. */
export const lacksSize = (instance: ObjectInstance): instance is ControlledInstance =>
  isControlled(instance) && instance.status === 'ready' && instance.size === undefined

const withSize = (instance: ObjectInstance, byPlace: ReadonlyMap<string, number>): ObjectInstance => {
  const size = isControlled(instance) ? byPlace.get(placeOf(instance)) : undefined
  return size === undefined ? instance : { ...instance, size }
}

const placeOf = ({ storage_id, key }: { readonly storage_id: string; readonly key: string }): string => `${storage_id} ${key}`

const indexSizes = async (tx: WriteTx, sizes: readonly InstanceSize[]): Promise<void> => {
  for (const [storageId, found] of Map.groupBy(sizes, (each) => each.storage_id)) {
    const byKey = new Map(found.map((each) => [each.key, each]))
    const where = and(eq('storage_id', storageId), isIn('media_key', [...byKey.keys()]))
    const { rows } = await tx.list('object_instances', { where, limit: found.length })
    const changed = rows.flatMap((row): Row<'object_instances'>[] => {
      const known = byKey.get(row.media_key)
      return known?.object_id === row.object_id ? [{ ...row, size: BigInt(known.size) }] : []
    })
    await tx.put('object_instances', changed)
  }
}
