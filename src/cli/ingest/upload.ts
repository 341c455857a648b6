import { rm } from 'node:fs/promises'
import { CliError } from '../cli-error.ts'
import type { TamsClient } from '../client.ts'
import { inOrder } from '../in-order.ts'
import type { Progress } from '../progress.ts'
import type { Allocation, SegmentPost } from '../tams-types.ts'
import type { CutSegment } from './segments.ts'

const ALLOCATION_BATCH = 50
/** Segments of one bulk request at most, and files that wait for their turn. */
const WINDOW = 50

export interface UploadResult {
  readonly uploaded: number
  readonly bytes: number
  /** Bit rates of the whole, in units of 1000 bit/s, rounded up. */
  readonly avgBitRate: number
  readonly maxBitRate: number
}

export interface UploadOptions {
  readonly total: number
  readonly concurrency: number
  readonly progress: Progress
}

/**
 * Stores files side by side and registers their segments in order, in bulk: at any moment the flow is complete up to some segment,
 * where the next run goes on.
 */
export const uploadSegments = async (
  client: TamsClient,
  flowId: string,
  segments: AsyncIterable<CutSegment>,
  { total, concurrency, progress }: UploadOptions,
): Promise<UploadResult> => {
  const rates = new BitRates()
  let [begun, done, uploaded, bytes] = [0, 0, 0, 0]
  const places: Allocation[] = []
  // Allocation happens in the one loop that starts uploads, so that no two of them ask at once.
  async function* placed() {
    for await (const segment of segments) {
      rates.add(segment)
      if (segment.post && places.length === 0) places.push(...(await client.allocate(flowId, Math.min(ALLOCATION_BATCH, total - begun))))
      begun++
      yield { segment, place: segment.post ? places.shift() : undefined }
    }
  }
  const store = async ({ segment, place }: { segment: CutSegment; place: Allocation | undefined }) => {
    if (!segment.post || !place) return { segment, post: undefined }
    await client.upload(place, segment.path)
    await rm(segment.path)
    return { segment, post: { object_id: place.object_id, ...segment.post } }
  }
  for await (const batch of inOrder(placed(), store, { concurrency, window: WINDOW })) {
    await register(
      client,
      flowId,
      batch.flatMap(({ post }) => post ?? []),
    )
    for (const { segment, post } of batch) {
      done++
      if (post) [uploaded, bytes] = [uploaded + 1, bytes + segment.size]
    }
    progress.update(done, bytes)
  }
  return { uploaded, bytes, ...rates.result() }
}

const register = async (client: TamsClient, flowId: string, posts: readonly SegmentPost[]): Promise<void> => {
  if (posts.length === 0) return
  const failed = await client.postSegments(flowId, posts)
  const [first] = failed
  if (!first) return
  const reason = first.error?.summary ?? 'no reason given'
  throw new CliError(
    `flow ${flowId} refused ${failed.length} of ${posts.length} segments; ${first.timerange ?? first.object_id}: ${reason}`,
  )
}

class BitRates {
  private bits = 0
  private durationNs = 0n
  private highest = 0

  add({ size, plan }: CutSegment): void {
    const duration = plan.endNs - plan.startNs
    this.bits += size * 8
    this.durationNs += duration
    this.highest = Math.max(this.highest, rate(size * 8, duration))
  }

  result() {
    return { avgBitRate: rate(this.bits, this.durationNs), maxBitRate: this.highest }
  }
}

const rate = (bits: number, durationNs: bigint): number => (durationNs > 0n ? Math.ceil((bits * 1e6) / Number(durationNs)) : 0)
