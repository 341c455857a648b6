import { and, eq } from '../../core/predicate.ts'
import { type Context, seesEverything } from '../../domain/context.ts'
import { findObjects, isControlled, type ObjectRow, parseInstances } from '../../domain/media-object.ts'
import { saveInstances } from '../../domain/object-instances.ts'
import { recordSizes } from '../../domain/object-sizes.ts'
import { record } from '../../domain/record.ts'
import type { Tables, WriteTx } from '../../storage/tables.ts'
import { type Confirmed, pendingKeys } from './confirm.ts'

export type Repair = 'removal_queued' | 'marked_missing' | 'marked_ready' | 'size_corrected'

/** Puts one finding right, in a transaction that looks once more; undefined: there was nothing to do any more. */
export const repair = (tables: Tables, storageId: string, finding: Confirmed, nowUs: bigint): Promise<Repair | undefined> =>
  tables.write(async (tx) => {
    const done = await put(tx, storageId, finding, nowUs)
    if (!done) return undefined
    const { kind, key, object_id } = finding
    const detail = { finding: kind, storage_id: storageId, key }
    const audit = { action: `media.reconcile.${done}`, entityType: 'object', entityId: object_id ?? '', detail }
    await record(tx, CONTEXT, nowUs, [], audit)
    return done
  })

const CONTEXT: Context = { principal: { name: 'tams reconcile' }, visible: seesEverything, requestId: 'reconcile', baseUrl: '' }

const put = async (tx: WriteTx, storageId: string, finding: Confirmed, nowUs: bigint): Promise<Repair | undefined> => {
  const { kind, key, object_id, size } = finding
  if (kind === 'unrecorded') return (await queueRemoval(tx, storageId, key, nowUs)) ? 'removal_queued' : undefined
  if (object_id === undefined || finding.marked) return undefined
  await tx.lock([`object:${object_id}`])
  const object = (await findObjects(tx, [object_id])).get(object_id)
  if (!object || !statusOf(object, storageId, key)) return undefined
  if (kind === 'missing') {
    await setStatus(tx, object, storageId, key, 'missing')
    // Bytes that come back differ from it, and are found.
    await tx.update('object_instances', and(eq('storage_id', storageId), eq('media_key', key)), { size: null })
    return 'marked_missing'
  }
  if (size === undefined) return undefined
  if (kind === 'found_again') await setStatus(tx, object, storageId, key, 'ready')
  await recordSizes(tx, [{ object_id, storage_id: storageId, key, size }])
  return kind === 'found_again' ? 'marked_ready' : 'size_corrected'
}

/** The worker that deletes what nobody needs any more does it: it alone, under its lease, touches bytes. */
const queueRemoval = async (tx: WriteTx, storageId: string, key: string, nowUs: bigint): Promise<boolean> => {
  if (await tx.find('object_instances', [storageId, key])) return false
  if ((await pendingKeys(tx, storageId, [key])).size > 0) return false
  await tx.put('media_removals', [{ id: `${storageId} ${key}`, storage_id: storageId, media_key: key, object_id: '', created: nowUs }])
  return true
}

const statusOf = (object: ObjectRow, storageId: string, key: string) =>
  parseInstances(object)
    .filter(isControlled)
    .find((each) => each.storage_id === storageId && each.key === key)?.status

const setStatus = async (tx: WriteTx, object: ObjectRow, storageId: string, key: string, status: 'ready' | 'missing'): Promise<void> => {
  const instances = parseInstances(object).map((instance) =>
    isControlled(instance) && instance.storage_id === storageId && instance.key === key ? { storage_id: storageId, key, status } : instance,
  )
  await saveInstances(tx, object, instances)
}
