import { toMicroseconds } from '../core/clock.ts'
import { invalid, isTamsError, TamsError } from '../core/errors.ts'
import { and, eq } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import { timestampNs } from '../core/timestamp.ts'
import { quote } from '../core/uuid.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx, WriteTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { objectsCreated } from './extension-events.ts'
import { type FlowRow, flowTimeRange, getWritableFlow } from './flow.ts'
import { type HiddenStretch, hiddenStretches } from './hidden.ts'
import { changeReferences, findObjects, isControlled, type ObjectRow, objectLocks, parseInstances, referredTo } from './media-object.ts'
import { ObjectRegistry } from './object-registry.ts'
import { record, timeOrderedId } from './record.ts'
import { segmentsAdded } from './segment-events.ts'
import { type Extent, extentColumns, isBeyond, lastBefore, listOverlapping, type Placed, type Timeline } from './segment-ranges.ts'
import { makeRoom } from './segment-room.ts'
import { type NewSegment, parseSegmentPost, type SegmentForm, type SegmentPost } from './segment-schema.ts'
import { insertTags, parseTags } from './tags.ts'
import { unseenObjects } from './unseen-objects.ts'

/** `flow-segment-bulk-failure` of the specification. */
export interface FailedSegment {
  readonly object_id: string
  readonly timerange: string
  readonly error: { readonly type: string; readonly summary: string; readonly time: string }
}

/** Above this one transaction would hold the writer for too long. */
const MAX_SEGMENTS = 5000
/** For the look at all uploads of one request: a client waits for it. */
const LOOK_UP_MS = 10_000
const LOOK_UPS_AT_ONCE = 16

/** What the ways to register segments have in common. */
export const segmentRegistration = ({ tables, backends, clock, settings }: Deps) => {
  const backendLabels = new Set(backends.flatMap(({ info }) => (info.label === undefined ? [] : [info.label])))

  /** Object ids of the request whose uploaded bytes are missing; looked up before the transaction, which never waits for a store. */
  const missingUploads = async (segments: readonly NewSegment[]): Promise<ReadonlySet<string>> => {
    if (!settings.requireUploadedObjects) return new Set()
    const rows = await tables.read((tx) => findObjects(tx, objectIds(segments)))
    const missing = new Set<string>()
    const waiting = rows.values().filter((row) => row.state === 'allocated')
    const limit = AbortSignal.timeout(LOOK_UP_MS)
    const one = async () => {
      for (const row of waiting) if (!(await isUploaded(row, limit))) missing.add(row.id)
    }
    try {
      await Promise.all(Array.from({ length: LOOK_UPS_AT_ONCE }, one))
    } catch (cause) {
      if (!limit.aborted || isTamsError(cause)) throw cause
      throw new TamsError('unavailable', 'object_id: whether the bytes are uploaded could not be found out in time', { cause })
    }
    return missing
  }

  const isUploaded = async (row: ObjectRow, signal: AbortSignal): Promise<boolean> => {
    for (const instance of parseInstances(row).filter(isControlled)) {
      const backend = backends.find(({ info }) => info.id === instance.storage_id)
      if (backend && (await backend.store.head(instance.key, signal))) return true
    }
    return false
  }

  /** The caller holds the flow's lock. `single`: one that fails throws. */
  const register = async (
    tx: WriteTx,
    context: Context,
    found: FlowRow,
    segments: readonly NewSegment[],
    { missing, single }: { readonly missing: ReadonlySet<string>; readonly single: boolean },
  ): Promise<readonly FailedSegment[]> => {
    if (found.container === null) throw invalid('container', `flow ${found.id} has none, so it has no segments of its own; set it first`)
    const nowUs = clock.nowUs()
    const flow = await makeRoom(tx, context, nowUs, found, segments)
    const batch = await SegmentBatch.open(tx, flow, segments, { nowUs, backendLabels, missing })
    const failed: FailedSegment[] = []
    for (const segment of segments) {
      try {
        await batch.add(segment)
      } catch (error) {
        // A store that is away or busy is no fault of the segment: then the whole request fails.
        if (single || !(isTamsError(error, 'invalid') || isTamsError(error, 'overlap'))) throw error
        failed.push(failure(segment.post, error, nowUs))
      }
    }
    await batch.save(context)
    return failed
  }

  /** Whether the segment would be new. Writes nothing; throws what its registration would. */
  const wouldAdd = async (tx: WriteTx, flow: FlowRow, segment: NewSegment): Promise<boolean> => {
    const options = { nowUs: clock.nowUs(), backendLabels, missing: new Set<string>() }
    const batch = await SegmentBatch.open(tx, flow, [segment], options)
    await batch.add(segment)
    return batch.size > 0
  }

  return { missingUploads, register, wouldAdd }
}

export const segmentPostUseCases = (deps: Deps) => {
  const { tables, settings } = deps
  const { missingUploads, register } = segmentRegistration(deps)
  const lastSeen = new LastSeen()
  return {
    /**
     * Registers one segment (an object) or many (an array); tams-behaviour.md 6.2. Of an array the good ones are registered and the
     * others given back in request order; a single one that fails throws. An element that breaks the schema fails the whole request.
     */
    post: async (context: Context, flowId: string, body: () => unknown): Promise<readonly FailedSegment[]> => {
      let parsed: NewSegment[] | undefined
      const parse = (): NewSegment[] => {
        parsed ??= parseBody(body(), settings.strict ? 'standard' : 'extended')
        return parsed
      }
      const missing = settings.requireUploadedObjects ? await missingUploads(parseQuietly(parse)) : new Set<string>()
      return tables.write(async (tx) => {
        const segments = parseQuietly(parse)
        const guess = lastSeen.get(flowId)
        tx.prefetch((ahead) => lookAround(ahead, flowId, segments, guess), objectLocks(objectIds(segments)))
        if (guess) lastSeen.note(guess, segments)
        await tx.lock([`flow:${flowId}`])
        const flow = await getWritableFlow(tx, context, flowId)
        lastSeen.note(flow, segments)
        return register(tx, context, flow, parse(), { missing, single: !Array.isArray(body()) })
      })
    },
  }
}

const parseBody = (body: unknown, form: SegmentForm): NewSegment[] => {
  if (!Array.isArray(body)) return [parseSegmentPost(body, '', form)]
  if (body.length > MAX_SEGMENTS) throw invalid('body', `has ${body.length} segments; at most ${MAX_SEGMENTS} fit into one request`)
  return body.map((item: unknown, index) => parseSegmentPost(item, `[${index}]`, form))
}

// A body that does not parse is refused in the transaction, after 404 and 403.
const parseQuietly = (parse: () => NewSegment[]): NewSegment[] => {
  try {
    return parse()
  } catch (error) {
    if (isTamsError(error)) return []
    throw error
  }
}

/** Where each flow's segments lie since it was last posted to: a guess for what is read ahead, nothing rests on it. */
class LastSeen {
  private readonly known = new Map<string, Extent>()

  get(flowId: string): Extent | undefined {
    return this.known.get(flowId)
  }

  /** @param segments What is posted to it now: who comes next may find them there. */
  note({ id, timeline_id, start_ns, end_ns, hidden }: Extent, segments: readonly NewSegment[]): void {
    if (this.known.size === MOST_FLOWS && !this.known.has(id)) this.known.clear()
    // Its row tells too little then.
    if (hidden !== null || segments.length === 0) return void this.known.delete(id)
    const { startNs, endNs } = hull(segments)
    const [first, last] = [start_ns ?? startNs, end_ns ?? endNs]
    const extent = { start_ns: startNs < first ? startNs : first, end_ns: endNs > last ? endNs : last, segment_count: 1n }
    this.known.set(id, { id, timeline_id, hidden, ...extent })
  }
}

const MOST_FLOWS = 10_000

/**
 * What registering the segments is going to look at, where they concern new objects or ones with few uses. With the right guess of the flow's
 * timeline the neighbours are asked for at once, otherwise when the flow is known.
 */
const lookAround = async (tx: ReadTx, flowId: string, segments: readonly NewSegment[], guess: Extent | undefined): Promise<void> => {
  const [only, ...others] = segments
  const objects = findObjects(tx, objectIds(segments))
  const neighbour = async (flow: Extent) => {
    if (only && others.length === 0 && !isBeyond(flow, only.startNs, only.endNs)) await lastBefore(tx, flow, only.endNs)
  }
  const uses = async (flow: Timeline) => {
    const used = [...(await objects).values()].filter((row) => row.state === 'registered')
    await Promise.all(used.map(({ id }) => tx.find('object_refs', [id, flow.id, flow.timeline_id])))
  }
  const aroundFlow = async () => {
    const flow = await tx.find('flows', [flowId, ''])
    if (flow) await Promise.all([uses(flow), ...(flow.timeline_id === guess?.timeline_id ? [] : [neighbour(flow)])])
  }
  await Promise.all([objects, aroundFlow(), ...(guess ? [neighbour(guess)] : [])])
}

/** All objects that they name. */
const objectIds = (segments: readonly NewSegment[]): string[] => [
  ...new Set(segments.flatMap(({ post }) => [post.object_id, ...(post.init_object_id === undefined ? [] : [post.init_object_id])])),
]

const failure = (post: SegmentPost, error: TamsError, nowUs: bigint): FailedSegment => ({
  object_id: post.object_id,
  timerange: post.timerange,
  error: { type: error.code, summary: error.message, time: toMicroseconds(nowUs) },
})

interface BatchOptions {
  readonly nowUs: bigint
  readonly backendLabels: ReadonlySet<string>
  readonly missing: ReadonlySet<string>
}

const overlap = (reason: string): TamsError => new TamsError('overlap', `timerange: ${reason}`, { field: 'timerange' })

/** The segments of one request against the state of the flow, written in a few calls at the end. */
class SegmentBatch {
  private readonly added: Row<'segments'>[] = []
  private readonly restoring: readonly HiddenStretch[]

  private constructor(
    private readonly tx: WriteTx,
    private readonly flow: FlowRow,
    private readonly objects: ObjectRegistry,
    private readonly nowUs: bigint,
    /** Stored segments around the request by start, or undefined where there are too many to load: then each is looked up. */
    private readonly neighbours: Placed[] | undefined,
    /** The flow's row rules out that there are any. */
    private readonly isVacant: boolean,
  ) {
    this.restoring = hiddenStretches(flow).filter(({ kind }) => kind === 'restore')
  }

  static async open(tx: WriteTx, flow: FlowRow, segments: readonly NewSegment[], options: BatchOptions): Promise<SegmentBatch> {
    const ids = objectIds(segments)
    await tx.lock(objectLocks(ids))
    const rows = await findObjects(tx, ids)
    await tx.lock(objectLocks([...rows.values()].flatMap((row) => row.init_object_id ?? [])))
    const objects = new ObjectRegistry(flow, rows, { ...options, buried: await buriedOf(tx, rows, segments) })
    const { startNs, endNs } = hull(segments)
    const isVacant = isBeyond(flow, startNs, endNs)
    const around = isVacant ? [] : await neighbours(tx, flow, segments)
    return new SegmentBatch(tx, flow, objects, options.nowUs, around, isVacant)
  }

  /** Segments taken in that are new. */
  get size(): number {
    return this.added.length
  }

  /** Throws `overlap` or `invalid`, and then nothing of the segment is kept. The identical segment again is no error and no change. */
  async add(segment: NewSegment): Promise<void> {
    const { post } = segment
    if (this.restoring.some(({ startNs, endNs }) => startNs < segment.endNs && segment.startNs < endNs))
      throw overlap(`${post.timerange} overlaps deleted segments that are just being restored: they already exist in flow ${this.flow.id}`)
    const present = await this.overlapping(segment)
    if (present) {
      const offset = present.ts_offset === null ? 0n : timestampNs(present.ts_offset)
      const same = present.object_id === post.object_id && present.start_ns === segment.startNs && present.end_ns === segment.endNs
      if (!same || offset !== segment.offsetNs)
        throw overlap(
          `${post.timerange} overlaps ${present.timerange} of object ${quote(present.object_id)}, which already exists in flow ${this.flow.id}`,
        )
      this.objects.checkSame(segment)
      return
    }
    this.objects.use(segment)
    const row = segmentRow(this.flow, segment, this.nowUs)
    this.added.push(row)
    if (this.neighbours) insertSorted(this.neighbours, row)
  }

  /** The only segment that can overlap is the last one that starts before the new one's end. */
  private async overlapping({ startNs, endNs }: NewSegment): Promise<Placed | undefined> {
    const overlaps = (placed: Placed | undefined) => (placed && placed.end_ns > startNs ? placed : undefined)
    if (this.neighbours) return overlaps(this.neighbours[lowerBound(this.neighbours, endNs) - 1])
    return overlaps(await lastBefore(this.tx, this.flow, endNs)) ?? this.added.find((row) => row.start_ns < endNs && row.end_ns > startNs)
  }

  async save(context: Context): Promise<void> {
    if (this.added.length === 0) return
    const { tx, flow, added, nowUs } = this
    const registered = this.objects.created
    // They were absent or only allocated: nothing refers to them.
    const isNew = new Set(registered.map((row) => row.id))
    // Known objects that only the trash has used so far.
    const back = await unseenObjects(
      tx,
      added.flatMap((row) => (isNew.has(row.object_id) ? [] : [row.object_id])),
    )
    await tx.insert('segments', added, { vacant: this.isVacant })
    await insertTags(
      tx,
      'segment',
      added.flatMap(({ tag_id, tags }) => (tag_id === null || tags === null ? [] : [[tag_id, parseTags(tags)] as const])),
    )
    await this.objects.save(tx)
    await changeReferences(tx, flow, this.objects.references, isNew)
    const ranges = added.map((row) => TimeRange.parse(row.timerange))
    await tx.update('flows', and(eq('id', flow.id), eq('deletion_id', '')), {
      ...extentColumns(TimeRange.encompassing([flowTimeRange(flow), ...ranges])),
      segment_count: flow.segment_count + BigInt(added.length),
      segments_updated: nowUs,
    })
    const events = [...objectsCreated([...registered, ...back.map((row) => this.objects.now(row))]), segmentsAdded(flow, added)]
    await record(tx, context, nowUs, events, {
      action: 'flow.segments.add',
      entityType: 'flow',
      entityId: flow.id,
      detail: { count: added.length, timerange: TimeRange.encompassing(ranges).canonical() },
    })
  }
}

/** Asked for where it makes a difference: a known object comes with URLs. */
const buriedOf = async (
  tx: ReadTx,
  rows: ReadonlyMap<string, ObjectRow>,
  segments: readonly NewSegment[],
): Promise<ReadonlySet<string>> => {
  const named = new Set(segments.flatMap(({ post }) => (post.get_urls ? post.object_id : [])))
  const known = [...rows.values()].filter((row) => row.state === 'registered' && !row.explicit && named.has(row.id)).map((row) => row.id)
  const used = await referredTo(tx, known)
  return new Set(known.filter((id) => !used.has(id)))
}

const neighbours = async (tx: WriteTx, flow: FlowRow, segments: readonly NewSegment[]): Promise<Placed[] | undefined> => {
  if (segments.length < 2) return undefined
  const { startNs, endNs } = hull(segments)
  const within = await listOverlapping(tx, flow, { range: TimeRange.of(startNs, endNs), limit: segments.length * 2 })
  return within.after ? undefined : [...within.rows]
}

/** From the first start to the last end. */
const hull = (segments: readonly NewSegment[]) => ({
  startNs: segments.reduce((least, { startNs }) => (startNs < least ? startNs : least), segments[0]?.startNs ?? 0n),
  endNs: segments.reduce((most, { endNs }) => (endNs > most ? endNs : most), segments[0]?.endNs ?? 0n),
})

/** How many of the sorted `rows` start before `ns`. */
const lowerBound = (rows: readonly Placed[], ns: bigint): number => {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((rows[middle]?.start_ns ?? ns) < ns) low = middle + 1
    else high = middle
  }
  return low
}

const insertSorted = (rows: Placed[], row: Placed): void => {
  const at = lowerBound(rows, row.start_ns)
  if (at === rows.length) rows.push(row)
  else rows.splice(at, 0, row)
}

const segmentRow = (flow: FlowRow, { post, range, startNs, endNs, tags }: NewSegment, nowUs: bigint): Row<'segments'> => ({
  flow_id: flow.id,
  timeline_id: flow.timeline_id,
  start_ns: startNs,
  end_ns: endNs,
  // A bare timestamp and missing markers mean inclusive ends: they are written out (tams-behaviour.md 2.2).
  timerange: /^\[.*[\])]$/.test(post.timerange) ? post.timerange : range.canonical(),
  object_id: post.object_id,
  ts_offset: post.ts_offset ?? null,
  last_duration: post.last_duration ?? null,
  sample_offset: post.sample_offset === undefined ? null : BigInt(post.sample_offset),
  sample_count: post.sample_count === undefined ? null : BigInt(post.sample_count),
  tags: tags ? JSON.stringify(tags) : null,
  tag_id: tags ? timeOrderedId(nowUs) : null,
  created: nowUs,
})
