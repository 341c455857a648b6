import { newObjectId } from '../../core/object-id.ts'
import type { PlannedFlow, SeedOptions } from './plan.ts'
import { Random } from './random.ts'

/** One object of a flow and its place on the flow's timeline, in nanoseconds; as segments, equally long ones behind each other. */
export interface Placed {
  readonly objectId: string
  readonly startNs: bigint
  readonly endNs: bigint
  readonly segments: number
  /** Bytes. */
  readonly size: number
  readonly createdUs: bigint
  readonly keyFrames: number
  /** Reads so far; 0 for most. */
  readonly reads: number
}

const GAPS = 0.004
const LONG = 0.003
const HEAVY = 0.002
const READ = 0.15
const NS_PER_MS = 1_000_000n

/** The objects of a flow without donor, in order; the same at each call. */
export function* placedObjects(flow: PlannedFlow, options: Pick<SeedOptions, 'seed' | 'untilUs' | 'segmentsPerObject'>): Generator<Placed> {
  const random = new Random(`${options.seed}/${flow.id}`)
  const randomBytes = bytesOf(random)
  // Created while it lasts, or in what is left until the end where that is shorter.
  const lifeUs = Math.min(flow.segments * flow.segmentSeconds * 1e6, Number(options.untilUs - flow.createdUs))
  const bytesPerMs = flow.technical.bitRate / 8000
  let startNs = (flow.createdUs / 1_000_000n) * 1_000_000_000n
  for (let done = 0; done < flow.segments; ) {
    const segments = Math.min(options.segmentsPerObject, flow.segments - done)
    const chance = random.fraction()
    if (chance < GAPS) startNs += BigInt(1 + random.below(600_000)) * NS_PER_MS
    const long = chance > 1 - LONG
    const durationMs = segments * (long ? flow.segmentSeconds * 5000 : flow.segmentSeconds * 1000 - (random.uint32() & 1) * 40)
    const weight = 0.7 + 0.6 * random.fraction()
    const heavy = chance > 0.5 && chance < 0.5 + HEAVY
    const createdUs = flow.createdUs + BigInt(Math.floor((lifeUs * done) / flow.segments))
    const endNs = startNs + BigInt(durationMs) * NS_PER_MS
    yield {
      objectId: newObjectId(createdUs, randomBytes),
      startNs,
      endNs,
      segments,
      size: Math.max(188, Math.round(bytesPerMs * durationMs * weight * (heavy ? 12 : 1))),
      createdUs,
      keyFrames: flow.source.format === 'video' ? Math.max(1, Math.round(durationMs / 2000)) : 0,
      reads: random.chance(READ) ? Math.ceil(1 / (0.001 + random.fraction())) : 0,
    }
    startNs = endNs
    done += segments
  }
}

const bytesOf = (random: Random): (() => Uint8Array) => {
  const view = new DataView(new ArrayBuffer(9))
  return () => {
    view.setUint32(0, random.uint32())
    view.setUint32(4, random.uint32())
    view.setUint8(8, random.uint32() & 0xff)
    return new Uint8Array(view.buffer)
  }
}
