import type { Clock } from '../core/clock.ts'
import { and, compare, eq } from '../core/predicate.ts'
import { objectMetadata } from '../domain/flow-storage.ts'
import { findObjects, isControlled, type ObjectInstance, parseInstances } from '../domain/media-object.ts'
import { saveInstances } from '../domain/object-instances.ts'
import { recordSizes } from '../domain/object-sizes.ts'
import type { MediaBackend } from '../domain/storage-backend.ts'
import type { MediaStore } from '../storage/media.ts'
import type { Row } from '../storage/schema.ts'
import type { Tables, WriteTx } from '../storage/tables.ts'
import { CopyDiffers, compareWithHash, copyMedia, hashing } from './copy-media.ts'
import type { GuardedFetch } from './guarded-fetch.ts'
import { keepingLease, type Lease } from './lease.ts'
import type { Worker } from './worker.ts'

export interface CopyDeps {
  readonly tables: Tables
  readonly clock: Clock
  readonly backends: readonly MediaBackend[]
  /** Reads what lies at URLs that clients have named. */
  readonly request: GuardedFetch
}

const MAX_ATTEMPTS = 12
const MAX_DELAY_S = 600n

/** Makes the controlled copies that were asked for: bytes are verified by length and hash before the copy is advertised. */
export const objectCopyWorker = (deps: CopyDeps): Worker => ({
  name: 'object-copies',
  intervalMs: 1000,
  watches: ['media_copies'],
  // Tries that failed are due again by time.
  restMs: 5000,
  async step(lease, signal) {
    const { tables, clock } = deps
    const due = and(eq('status', 'created'), compare('updated', '<=', clock.nowUs()))
    const { rows } = await tables.read((tx) =>
      tx.list('media_copies', { where: due, orderBy: [{ column: 'updated', direction: 'asc' }], limit: 1 }),
    )
    const job = rows[0]
    if (!job) return false
    try {
      const size = await keepingLease(tables, lease, signal, (kept) => copyBytes(deps, job, kept))
      await tables.write((tx) => settle(tx, clock, lease, job, size))
    } catch (error) {
      if (signal.aborted) throw error
      await tables.write((tx) => postpone(tx, clock, lease, job, error))
    }
    return true
  },
})

/** Gives the size; undefined when the object needs no copy any more. */
const copyBytes = async (
  { tables, backends, request }: CopyDeps,
  job: Row<'media_copies'>,
  signal: AbortSignal,
): Promise<number | undefined> => {
  const object = await tables.read(async (tx) => (await findObjects(tx, [job.object_id])).get(job.object_id))
  const to = backends.find(({ info }) => info.id === job.storage_id)?.store
  if (!object || !parseInstances(object).some((instance) => isTarget(instance, job))) {
    await to?.discardCopy?.(job.media_key, signal)
    return undefined
  }
  if (!to) throw new Error(`there is no storage backend ${job.storage_id}`)
  const instances = parseInstances(object)
  const flowId = object.allocated_for ?? object.first_referenced_by_flow
  const options = { signal, ...(flowId !== null && { metadata: objectMetadata(flowId) }) }
  const source = findControlled(backends, instances)
  if (source) return (await copyMedia(source.store, source.key, to, job.media_key, options)).size
  const original = await openUncontrolled(request, instances, job.attempts, signal)
  const contentType = original.contentType ?? object.content_type ?? 'application/octet-stream'
  const [written, sent] = await hashing((body) => to.put(job.media_key, body, { ...options, contentType }), original.body)
  if (original.size !== undefined && written.size !== original.size) throw new CopyDiffers()
  await compareWithHash(to, job.media_key, sent, signal)
  return written.size
}

interface Original {
  readonly body: ReadableStream<Uint8Array>
  readonly contentType?: string
  /** Bytes, where it is known beforehand. */
  readonly size: number | undefined
}

const findControlled = (
  backends: readonly MediaBackend[],
  instances: readonly ObjectInstance[],
): { readonly store: MediaStore; readonly key: string } | undefined => {
  for (const { status, storage_id, key } of instances.filter(isControlled)) {
    const store = status === 'ready' ? backends.find(({ info }) => info.id === storage_id)?.store : undefined
    if (store) return { store, key }
  }
  return undefined
}

const HEAD_TIMEOUT_MS = 30_000

/** With each try the next of the URLs. */
const openUncontrolled = async (
  request: GuardedFetch,
  instances: readonly ObjectInstance[],
  attempts: number,
  signal: AbortSignal,
): Promise<Original> => {
  const urls = instances.flatMap((instance) => (isControlled(instance) ? [] : [instance.url]))
  const url = urls[attempts % Math.max(1, urls.length)]
  if (url === undefined) throw new Error('there is no instance to copy from')
  // Encoded bytes would be no identical copy.
  const response = await request({ url, headers: { 'accept-encoding': 'identity' }, timeoutMs: HEAD_TIMEOUT_MS, signal })
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel()
    throw new Error(`the URL of the instance answered ${response.status}`)
  }
  const { headers, body } = response
  const type = headers.get('content-type')
  const length = headers.get('content-length')
  return { body, ...(type !== null && { contentType: type }), size: length === null ? undefined : Number(length) }
}

const isTarget = (instance: ObjectInstance, job: Row<'media_copies'>): boolean =>
  isControlled(instance) && instance.storage_id === job.storage_id && instance.key === job.media_key && instance.status === 'copying'

const settle = async (tx: WriteTx, clock: Clock, lease: Lease, job: Row<'media_copies'>, size: number | undefined): Promise<void> => {
  await lease.keep(tx)
  await tx.lock([`object:${job.object_id}`])
  const object = (await findObjects(tx, [job.object_id])).get(job.object_id)
  const instances = object ? parseInstances(object) : []
  await tx.delete('media_copies', eq('id', job.id))
  if (object && size !== undefined && instances.some((instance) => isTarget(instance, job))) {
    await saveInstances(
      tx,
      object,
      instances.map((instance) =>
        isTarget(instance, job) ? { storage_id: job.storage_id, key: job.media_key, status: 'ready' } : instance,
      ),
    )
    await recordSizes(tx, [{ object_id: job.object_id, storage_id: job.storage_id, key: job.media_key, size }])
    return
  }
  // The object or this instance of it went while its bytes were copied. Until now this job's row kept the key from being used again.
  const { storage_id, media_key, object_id } = job
  await tx.put('media_removals', [{ id: `${storage_id} ${media_key}`, storage_id, media_key, object_id, created: clock.nowUs() }])
}

const postpone = async (tx: WriteTx, clock: Clock, lease: Lease, job: Row<'media_copies'>, error: unknown): Promise<void> => {
  await lease.keep(tx)
  const attempts = job.attempts + 1
  const delay = 2n ** BigInt(attempts)
  await tx.update('media_copies', eq('id', job.id), {
    attempts,
    status: attempts >= MAX_ATTEMPTS ? 'error' : 'created',
    error: error instanceof Error ? error.message : String(error),
    updated: clock.nowUs() + (delay > MAX_DELAY_S ? MAX_DELAY_S : delay) * 1_000_000n,
  })
}
