import { invalid, isTamsError } from '../core/errors.ts'
import { and, eq } from '../core/predicate.ts'
import { quote } from '../core/uuid.ts'
import type { ObjectMetadata } from '../storage/media.ts'
import type { WriteTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { type FlowRow, getWritableFlow } from './flow.ts'
import { updateFlow } from './flow-save.ts'
import { allocateObjects, allocationEnd, objectMetadata, pickBackend } from './flow-storage.ts'
import { findObjects, isControlled, type ObjectRow, objectLocks, parseInstances, removeObjects } from './media-object.ts'
import { segmentRegistration } from './segment-post.ts'
import { type NewSegment, parseSegmentPost } from './segment-schema.ts'
import type { MediaBackend } from './storage-backend.ts'
import { MIME_PATTERN } from './validate.ts'

/** A segment together with the bytes of its object. */
export interface SegmentUpload {
  readonly segment: unknown
  /** What the file is said to be; undefined where nothing is said. */
  readonly contentType: string | undefined
  readonly file: ReadableStream<Uint8Array>
  /** Once the file is read: resolves when nothing follows it. Throws `invalid`. */
  end(): Promise<void>
}

interface Begun {
  readonly segment: NewSegment
  readonly backend: MediaBackend
  readonly key: string
  /** The object's. */
  readonly contentType: string
  /** For the flow, if it still has none then. */
  readonly container: string
  /** The allocation is this request's own. */
  readonly isNew: boolean
}

/**
 * Upload through the server: an extension. The bytes go to the store under an allocation, which the sweep takes if this process is
 * killed, and the segment is registered when they are durable.
 */
export const segmentUploadUseCases = (deps: Deps) => {
  const { tables, backends, clock, settings } = deps
  const { missingUploads, register, wouldAdd } = segmentRegistration(deps)

  /** undefined: the identical segment is there already, from a request whose answer was lost. */
  const begin = (context: Context, flowId: string, upload: () => SegmentUpload): Promise<Begun | undefined> =>
    tables.write(async (tx) => {
      await tx.lock([`flow:${flowId}`])
      const flow = await getWritableFlow(tx, context, flowId)
      const form = upload()
      const segment = parseSegmentPost(form.segment, '', 'extended')
      const container = containerFor(flow, form.contentType)
      const id = segment.post.object_id
      await tx.lock(objectLocks([id]))
      const known = (await findObjects(tx, [id])).get(id)
      const place = known?.state === 'registered' ? undefined : await placeFor(tx, flow, id, known, container)
      // All that can be said against the segment is said before its bytes are taken.
      if (!(await wouldAdd(tx, flow, segment))) return undefined
      if (!place) throw invalid('object_id', `${quote(id)} is registered: its bytes never change, and a segment can be posted without them`)
      return { segment, container, isNew: known === undefined, ...place }
    })

  const placeFor = async (tx: WriteTx, flow: FlowRow, id: string, known: ObjectRow | undefined, contentType: string) => {
    const nowUs = clock.nowUs()
    if (!known) {
      const backend = pickBackend(backends, undefined)
      const keys = await allocateObjects(tx, nowUs, settings, { ids: [id], flowId: flow.id, backend, contentType, field: 'object_id' })
      return { backend, key: keys.get(id) ?? id, contentType }
    }
    const [instance] = parseInstances(known).filter(isControlled)
    const backend = backends.find(({ info }) => info.id === instance?.storage_id)
    if (!instance || !backend) throw invalid('object_id', `${quote(id)} is allocated where this service does not store any more`)
    // The sweep leaves it alone for as long as the upload may take; one that has lapsed already is refused behind this.
    if (known.expires !== null && known.expires > nowUs)
      await tx.update('objects', and(eq('id', id), eq('deletion_id', '')), { expires: allocationEnd(nowUs, settings) })
    return { backend, key: instance.key, contentType: known.content_type ?? contentType }
  }

  const finish = async (context: Context, flowId: string, { segment, container }: Begun): Promise<void> => {
    const missing = await missingUploads([segment])
    await tables.write(async (tx) => {
      await tx.lock([`flow:${flowId}`])
      const found = await getWritableFlow(tx, context, flowId)
      if (found.container === null) await updateFlow(tx, context, clock.nowUs(), found, { container }, { action: 'flow.container.set' })
      const flow = found.container === null ? await getWritableFlow(tx, context, flowId) : found
      await register(tx, context, flow, [segment], { missing, single: true })
    })
  }

  /** The allocation goes, and the bytes behind the transaction, unless a segment uses them after all. */
  const giveBack = ({ segment, backend, key }: Begun): Promise<void> =>
    tables.write(async (tx) => {
      const id = segment.post.object_id
      await tx.lock(objectLocks([id]))
      const nowUs = clock.nowUs()
      const row = (await findObjects(tx, [id])).get(id)
      if (row?.state === 'allocated' && parseInstances(row).some((instance) => isControlled(instance) && instance.key === key))
        return removeObjects(tx, nowUs, [row])
      const storage_id = backend.info.id
      if (await tx.find('object_instances', [storage_id, key])) return
      // The sweep was faster than the upload: nothing knows of these bytes any more.
      await tx.put('media_removals', [{ id: `${storage_id} ${key}`, storage_id, media_key: key, object_id: id, created: nowUs }])
    })

  return {
    /**
     * Stores the bytes, then registers the segment. Nothing is left of either when it fails, neither bytes nor allocation; only an
     * allocation that was there before outlives bytes that did not arrive. Throws what a registration throws, and `exists` where the
     * object has been uploaded already.
     */
    upload: async (context: Context, flowId: string, read: () => SegmentUpload): Promise<void> => {
      const begun = await begin(context, flowId, read)
      if (!begun) return
      const { file, end } = read()
      let isStored = false
      try {
        await store(begun, file, objectMetadata(flowId), settings.minObjectTimeout)
        isStored = true
        await end()
        await finish(context, flowId, begun)
      } catch (error) {
        // Bytes that are there already are another upload's, and with them the allocation.
        const isOurs = isStored || (begun.isNew && !isTamsError(error, 'exists'))
        // What cannot be given back now the sweep of allocations takes; the first failure is the one to tell.
        if (isOurs) await giveBack(begun).catch(() => undefined)
        throw error
      }
    },
  }
}

/** Longer ones a timer cannot wait for. */
const MAX_TIMEOUT_SECONDS = 2_000_000

const store = async (
  { backend, key, contentType }: Begun,
  file: ReadableStream<Uint8Array>,
  metadata: ObjectMetadata,
  timeoutSeconds: number,
): Promise<void> => {
  const limit = AbortSignal.timeout(Math.min(timeoutSeconds, MAX_TIMEOUT_SECONDS) * 1000)
  try {
    await backend.store.put(key, file, { contentType, metadata, ifAbsent: true, signal: limit })
  } catch (cause) {
    if (!limit.aborted || isTamsError(cause)) throw cause
    throw invalid('file', `did not arrive within the ${timeoutSeconds} s that an allocation lasts`, cause)
  }
}

/** What the flow's objects are: as it says itself, else as the file is said to be. Throws `invalid`. */
const containerFor = (flow: FlowRow, fileType: string | undefined): string => {
  if (flow.container !== null) return flow.container
  if (flow.profile_id !== null) throw invalid('container', `belongs to profile ${flow.profile_id}, which says none`)
  const type = fileType?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (new RegExp(MIME_PATTERN).test(type) && type !== UNKNOWN_TYPE) return type
  throw invalid('container', `flow ${flow.id} has none, and the file does not say its type; set the one or the other`)
}

/** What clients send that know nothing of a file. */
const UNKNOWN_TYPE = 'application/octet-stream'
