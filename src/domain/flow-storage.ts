import { type Static, Type } from '@sinclair/typebox'
import { invalid, isTamsError, TamsError } from '../core/errors.ts'
import { newObjectIds } from '../core/object-id.ts'
import { isIn } from '../core/predicate.ts'
import { quote } from '../core/uuid.ts'
import type { MediaStore, ObjectMetadata } from '../storage/media.ts'
import type { Row } from '../storage/schema.ts'
import type { WriteTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { Deps, Settings } from './deps.ts'
import { getWritableFlow } from './flow.ts'
import { URL_GRACE_SECONDS } from './get-urls.ts'
import { type ObjectInstance, objectLocks } from './media-object.ts'
import { record } from './record.ts'
import { ObjectId } from './segment-schema.ts'
import type { MediaBackend } from './storage-backend.ts'
import { AnyInteger, checker, MimeType, Uuid } from './validate.ts'

export const StoragePost = Type.Object({
  limit: Type.Optional(AnyInteger),
  object_ids: Type.Optional(Type.Array(ObjectId, { title: 'a list of object ids' })),
  storage_id: Type.Optional(Uuid),
  content_type: Type.Optional(MimeType),
  presigned: Type.Optional(Type.Boolean({ title: 'a boolean' })),
})

export const StorageAnswer = Type.Object({
  media_objects: Type.Array(
    Type.Object({
      object_id: Type.String(),
      put_url: Type.Object({
        url: Type.String(),
        'content-type': Type.Optional(Type.String()),
        headers: Type.Optional(Type.Record(Type.String(), Type.String())),
      }),
      presigned: Type.Optional(Type.Boolean()),
    }),
  ),
})
export type StorageAnswer = Static<typeof StorageAnswer>

const checkPost = checker(StoragePost)

/** More objects in one request are legal to refuse silently: the answer is shorter (tams-behaviour.md 14.19). */
const MAX_OBJECTS = 1000
/** Added to the advertised object timeout before an allocation may be swept. */
const GRACE_SECONDS = 300

export const flowStorageUseCases = ({ tables, backends, clock, settings }: Deps) => ({
  /** Allocates objects to upload to (tams-behaviour.md 7). Throws `not_found`, `read_only`, `invalid`. */
  allocate: async (context: Context, flowId: string, body: () => unknown): Promise<StorageAnswer> => {
    const unready = await whyUnready(backends, body)
    const allocated = await tables.write(async (tx) => {
      await tx.lock([`flow:${flowId}`])
      const flow = await getWritableFlow(tx, context, flowId)
      const given = body()
      const post = given === undefined ? {} : checkPost(given)
      if (flow.container === null) throw invalid('container', `flow ${flowId} has none, so it has no objects of its own; set it first`)
      const backend = pickBackend(backends, post.storage_id)
      if (unready !== undefined) throw unready
      if (post.presigned === false) throw invalid('presigned', `storage backend ${backend.info.id} takes uploads by pre-signed URLs only`)
      const nowUs = clock.nowUs()
      const ids = objectIds(post, nowUs, settings.flowStorageDefaultLimit)
      await tx.lock(objectLocks(ids))
      await refuseUsed(tx, ids)
      const contentType = post.content_type ?? flow.container
      const keys = await allocateObjects(tx, nowUs, settings, { ids, flowId: flow.id, backend, contentType, field: 'object_ids' })
      await record(tx, context, nowUs, [], {
        action: 'flow.storage.allocate',
        entityType: 'flow',
        entityId: flow.id,
        detail: { count: ids.length },
      })
      return { ids, keys, contentType, backend }
    })
    const { contentType, backend } = allocated
    const expiresInSeconds = settings.uploadUrlTimeout + URL_GRACE_SECONDS
    const options = { baseUrl: context.baseUrl, contentType, expiresInSeconds, metadata: objectMetadata(flowId) }
    const mediaObjects = allocated.ids.map(async (id) => {
      const { url, headers } = await backend.store.uploadUrl(allocated.keys.get(id) ?? id, options)
      const extra = Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'content-type'))
      const putUrl = { url, 'content-type': contentType, ...(Object.keys(extra).length > 0 && { headers: extra }) }
      return { object_id: id, put_url: putUrl, presigned: true }
    })
    return { media_objects: await Promise.all(mediaObjects) }
  },
})

export interface Allocation {
  /** Unknown here, and locked by the caller. */
  readonly ids: readonly string[]
  readonly flowId: string
  readonly backend: MediaBackend
  readonly contentType: string
  /** The member that is at fault where the backend cannot hold an id. */
  readonly field: string
}

/** When an allocation of this moment may be swept. */
export const allocationEnd = (nowUs: bigint, { minObjectTimeout }: Pick<Settings, 'minObjectTimeout'>): bigint =>
  nowUs + BigInt(Math.ceil((minObjectTimeout + GRACE_SECONDS) * 1e6))

/** Makes room for objects whose bytes are to come. Gives their media keys by id; throws `invalid`. */
export const allocateObjects = async (
  tx: WriteTx,
  nowUs: bigint,
  settings: Pick<Settings, 'minObjectTimeout' | 'storagePath'>,
  { ids, flowId, backend, contentType, field }: Allocation,
): Promise<Map<string, string>> => {
  const keys = await mediaKeys(tx, ids, nowUs, settings.storagePath)
  for (const key of keys.values()) checkKey(backend.store, key, field)
  const storageId = backend.info.id
  const rows = ids.map((id): Row<'objects'> => {
    const instance: ObjectInstance = { storage_id: storageId, key: keys.get(id) ?? id, status: 'ready' }
    return {
      ...blankObject(id, nowUs),
      allocated_for: flowId,
      instances: JSON.stringify([instance]),
      content_type: contentType,
      expires: allocationEnd(nowUs, settings),
    }
  })
  await tx.insert('objects', rows)
  await tx.insert(
    'object_instances',
    ids.map((id) => ({ storage_id: storageId, media_key: keys.get(id) ?? id, object_id: id, size: null, created: nowUs })),
  )
  return keys
}

/**
 * Asked before the transaction, which never waits for a store: objects whose upload URLs could not be made would be in the way of the
 * client's next try with the same ids.
 */
const whyUnready = async (backends: readonly MediaBackend[], body: () => unknown): Promise<unknown> => {
  let backend: MediaBackend
  try {
    const given = body()
    backend = pickBackend(backends, given === undefined ? undefined : checkPost(given).storage_id)
  } catch (error) {
    // The transaction says so, after 404 and 403.
    if (isTamsError(error)) return undefined
    throw error
  }
  try {
    await backend.store.prepareUploads?.()
    return undefined
  } catch (error) {
    return error
  }
}

/** Throws `invalid` with `field` in front when the engine cannot hold an object of this key. */
export const checkKey = (store: MediaStore, key: string, field: string): void => {
  try {
    store.checkKey?.(key)
  } catch (cause) {
    if (!isTamsError(cause, 'invalid')) throw cause
    throw invalid(field, `storage backend ${store.storageId} cannot hold it: ${cause.message}`, cause)
  }
}

export const blankObject = (id: string, nowUs: bigint): Row<'objects'> => ({
  id,
  deletion_id: '',
  trash_id: null,
  state: 'allocated',
  kind: null,
  allocated_for: null,
  first_referenced_by_flow: null,
  start_ns: null,
  end_ns: null,
  timerange: null,
  key_frame_count: null,
  init_object_id: null,
  instances: '[]',
  content_type: null,
  size: null,
  created: nowUs,
  registered: null,
  explicit: false,
  expires: null,
  size_due: null,
})

export const objectMetadata = (flowId: string): ObjectMetadata => ({ 'tams-flow-id': flowId })

export const pickBackend = (backends: readonly MediaBackend[], storageId: string | undefined): MediaBackend => {
  const backend =
    storageId === undefined ? backends.find(({ info }) => info.default_storage) : backends.find(({ info }) => info.id === storageId)
  if (backend) return backend
  throw invalid(
    'storage_id',
    storageId === undefined ? 'is required: there is no default storage backend' : `there is no storage backend ${storageId}`,
  )
}

const objectIds = (post: Static<typeof StoragePost>, nowUs: bigint, defaultLimit: number): string[] => {
  if (post.limit !== undefined && post.object_ids !== undefined) throw invalid('limit', 'cannot come together with object_ids')
  if (post.object_ids === undefined) {
    const limit = post.limit ?? defaultLimit
    if (limit <= 0) throw invalid('limit', `${limit} is not above 0`)
    return newObjectIds(nowUs, Math.min(limit, MAX_OBJECTS))
  }
  if (post.object_ids.length > MAX_OBJECTS)
    throw invalid('object_ids', `has ${post.object_ids.length} ids; at most ${MAX_OBJECTS} fit into one request`)
  const twice = post.object_ids.find((id, index, ids) => ids.indexOf(id) !== index)
  if (twice !== undefined) throw invalid('object_ids', `${quote(twice)} is there twice`)
  return post.object_ids
}

/** In use are also ids that are allocated and not registered yet. */
const refuseUsed = async (tx: WriteTx, ids: readonly string[]): Promise<void> => {
  if (ids.length === 0) return
  const { rows } = await tx.list('objects', { columns: ['id'], where: isIn('id', ids), limit: 1 })
  const used = rows[0]
  if (used) throw new TamsError('invalid', `object_ids: ${quote(used.id)} is already in use here`, { field: 'object_ids' })
}

/**
 * `{storagePath}/{yyyy}/{mm}/{dd}/{object_id}`. While bytes of a former object or instance with this id are still to be deleted, or
 * still being copied, the new one's key is another, so that neither can touch its bytes.
 */
export const mediaKeys = async (tx: WriteTx, ids: readonly string[], nowUs: bigint, storagePath: string): Promise<Map<string, string>> => {
  const day = new Date(Number(nowUs / 1000n)).toISOString().slice(0, 10).replaceAll('-', '/')
  const pending = new Set<string>()
  if (ids.length > 0)
    for (const table of ['media_removals', 'media_copies'] as const) {
      const { rows } = await tx.list(table, { columns: ['object_id'], where: isIn('object_id', ids), limit: ids.length * 100 })
      for (const row of rows) pending.add(row.object_id)
    }
  return new Map(ids.map((id) => [id, `${storagePath}/${day}/${id}${pending.has(id) ? `~${nowUs.toString(36)}` : ''}`]))
}
