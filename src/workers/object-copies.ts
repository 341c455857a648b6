import { createHash } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { and, compare, eq } from '../core/predicate.ts'
import { findObjects, isControlled, type ObjectInstance, parseInstances } from '../domain/media-object.ts'
import { saveInstances } from '../domain/object-instances.ts'
import type { MediaBackend } from '../domain/storage-backend.ts'
import type { Row } from '../storage/schema.ts'
import type { Tables, WriteTx } from '../storage/tables.ts'
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
  if (!object || !parseInstances(object).some((instance) => isTarget(instance, job))) return undefined
  const to = backends.find(({ info }) => info.id === job.storage_id)?.store
  if (!to) throw new Error(`there is no storage backend ${job.storage_id}`)
  const instances = parseInstances(object)
  const original = (await openControlled(backends, instances, signal)) ?? (await openUncontrolled(request, instances, job.attempts, signal))
  const contentType = original.contentType ?? object.content_type ?? 'application/octet-stream'
  const [written, sent] = await hashing((body) => to.put(job.media_key, body, { contentType, signal }), original.body)
  const copy = await to.get(job.media_key, { signal })
  if (!copy) throw new Error('the copy is not there')
  const received = await digest(copy.body)
  if ((original.size !== undefined && written.size !== original.size) || received !== sent)
    throw new Error('the copy differs from its original')
  return written.size
}

interface Original {
  readonly body: ReadableStream<Uint8Array>
  readonly contentType?: string
  /** Bytes, where it is known beforehand. */
  readonly size: number | undefined
}

const openControlled = async (
  backends: readonly MediaBackend[],
  instances: readonly ObjectInstance[],
  signal: AbortSignal,
): Promise<Original | undefined> => {
  for (const instance of instances.filter(isControlled)) {
    const from = instance.status === 'ready' ? backends.find(({ info }) => info.id === instance.storage_id)?.store : undefined
    if (!from) continue
    const found = await from.get(instance.key, { signal })
    if (!found) throw new Error('the bytes of the object are not there')
    return found
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

const hashing = async <T>(
  use: (body: ReadableStream<Uint8Array>) => Promise<T>,
  body: ReadableStream<Uint8Array>,
): Promise<[T, string]> => {
  const hash = createHash('sha256')
  const tap = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      hash.update(chunk)
      controller.enqueue(chunk)
    },
  })
  const tapped = body.pipeThrough(tap)
  try {
    return [await use(tapped), hash.digest('hex')]
  } catch (error) {
    // A backend that failed early has not read it: what holds the source open must be let go. Fails where it has been cancelled already.
    await tapped.cancel(error).catch(() => undefined)
    throw error
  }
}

const digest = async (body: ReadableStream<Uint8Array>): Promise<string> => {
  const hash = createHash('sha256')
  for await (const chunk of body) hash.update(chunk)
  return hash.digest('hex')
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
