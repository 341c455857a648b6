import { type Static, Type } from '@sinclair/typebox'
import { invalid, notFound, TamsError } from '../core/errors.ts'
import { and, eq } from '../core/predicate.ts'
import { isUuid, quote } from '../core/uuid.ts'
import type { WriteTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { checkKey, mediaKeys, pickBackend } from './flow-storage.ts'
import { dropFailedCopies, isControlled, type ObjectInstance, type ObjectRow, parseInstances } from './media-object.ts'
import { getVisibleObject } from './object.ts'
import { record, timeOrderedId } from './record.ts'
import { Url, UrlLabel } from './segment-schema.ts'
import { checker, Uuid } from './validate.ts'

/** Exactly one of the two forms (tams-behaviour.md 8.2). */
export const InstancePost = Type.Object({ storage_id: Type.Optional(Uuid), url: Type.Optional(Url), label: Type.Optional(UrlLabel) })
const checkPost = checker(InstancePost)

export interface InstanceSelector {
  readonly storageId?: string
  readonly label?: string
}

/** Where the bytes of one object lie. No event tells of it, and init objects are not drawn in. */
export const objectInstanceUseCases = ({ tables, backends, clock, settings }: Deps) => {
  const labels = new Set(backends.flatMap(({ info }) => (info.label === undefined ? [] : [info.label])))

  return {
    /** A controlled copy is registered at once and advertised when its bytes are verified. Throws `not_found`, `invalid`. */
    add: (context: Context, id: string, body: () => unknown): Promise<void> =>
      tables.write(async (tx) => {
        await tx.lock([`object:${id}`])
        const row = await getVisibleObject(tx, context, id)
        const post = checkPost(body())
        const instances = parseInstances(row)
        const nowUs = clock.nowUs()
        const added =
          post.storage_id === undefined ? uncontrolled(post, instances, labels) : await controlled(tx, row, post, instances, nowUs)
        await saveInstances(tx, row, [...instances, added])
        await record(tx, context, nowUs, [], { action: 'object.instance.add', entityType: 'object', entityId: id })
      }),

    /** Throws `not_found` for an unknown object or instance, `invalid` for the last one. */
    remove: (context: Context, id: string, selector: InstanceSelector): Promise<void> =>
      tables.write(async (tx) => {
        await tx.lock([`object:${id}`])
        const row = await getVisibleObject(tx, context, id)
        if (selector.storageId === undefined && selector.label === undefined) throw invalid('storage_id', 'or label is required')
        if (selector.storageId !== undefined && !isUuid(selector.storageId))
          throw invalid('storage_id', `${quote(selector.storageId)} is not a UUID`)
        const instances = parseInstances(row)
        const labelOf = (instance: ObjectInstance) =>
          isControlled(instance) ? backends.find(({ info }) => info.id === instance.storage_id)?.info.label : instance.label
        const chosen = instances.find(
          (instance) =>
            (selector.storageId === undefined || (isControlled(instance) && instance.storage_id === selector.storageId)) &&
            (selector.label === undefined || labelOf(instance) === selector.label),
        )
        if (!chosen) throw notFound(`Such an instance of object ${quote(id)}`)
        const rest = instances.filter((instance) => instance !== chosen)
        if (!rest.some(isReadable)) throw new TamsError('invalid', `storage_id: this is the last readable instance of object ${quote(id)}`)
        const nowUs = clock.nowUs()
        await saveInstances(tx, row, rest)
        if (isControlled(chosen)) {
          const { storage_id, key } = chosen
          await tx.delete('object_instances', and(eq('storage_id', storage_id), eq('media_key', key)))
          await dropFailedCopies(tx, and(eq('object_id', id), eq('storage_id', storage_id)))
          await tx.put('media_removals', [{ id: `${storage_id} ${key}`, storage_id, media_key: key, object_id: id, created: nowUs }])
        }
        await record(tx, context, nowUs, [], { action: 'object.instance.delete', entityType: 'object', entityId: id })
      }),
  }

  async function controlled(
    tx: WriteTx,
    row: ObjectRow,
    post: Static<typeof InstancePost>,
    instances: readonly ObjectInstance[],
    nowUs: bigint,
  ) {
    if (post.url !== undefined || post.label !== undefined) throw invalid('storage_id', 'cannot come together with url or label')
    const { info, store } = pickBackend(backends, post.storage_id)
    if (instances.some((instance) => isControlled(instance) && instance.storage_id === info.id))
      throw invalid('storage_id', `backend ${info.id} holds an instance of object ${quote(row.id)} already`)
    const key = (await mediaKeys(tx, [row.id], nowUs, settings.storagePath)).get(row.id) ?? row.id
    checkKey(store, key, 'storage_id')
    await tx.put('object_instances', [{ storage_id: info.id, media_key: key, object_id: row.id, size: null, created: nowUs }])
    await tx.insert('media_copies', [
      {
        id: timeOrderedId(nowUs),
        object_id: row.id,
        storage_id: info.id,
        media_key: key,
        status: 'created',
        error: null,
        attempts: 0,
        created: nowUs,
        updated: nowUs,
      },
    ])
    return { storage_id: info.id, key, status: 'copying' } as const
  }
}

const uncontrolled = (
  post: Static<typeof InstancePost>,
  instances: readonly ObjectInstance[],
  backendLabels: ReadonlySet<string>,
): ObjectInstance => {
  const { url, label } = post
  if (url === undefined && label === undefined) throw invalid('storage_id', 'or url and label are required')
  if (url === undefined) throw invalid('url', 'is required')
  if (label === undefined) throw invalid('label', 'is required')
  if (backendLabels.has(label)) throw invalid('label', `${quote(label)} belongs to a storage backend`)
  if (instances.some((instance) => !isControlled(instance) && instance.label === label))
    throw invalid('label', `${quote(label)} is the label of another instance of this object`)
  return { url, label }
}

const isReadable = (instance: ObjectInstance): boolean => !isControlled(instance) || instance.status === 'ready'

export const saveInstances = async (tx: WriteTx, row: ObjectRow, instances: readonly ObjectInstance[]): Promise<void> => {
  await tx.update('objects', and(eq('id', row.id), eq('deletion_id', '')), { instances: JSON.stringify(instances) })
}
