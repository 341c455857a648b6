import { floorDiv, NS_PER_SECOND, type Rational } from './rational.ts'
import { positionNs, type Track, type Unit } from './track.ts'

/** One segment to be: which packets of the track it holds and where they lie on the flow's timeline, in nanoseconds. */
export interface PlannedSegment {
  /** Number of its first packet in stream order. */
  readonly firstPacket: number
  readonly packetCount: number
  readonly startNs: bigint
  readonly endNs: bigint
  /** Time of the earliest sample of the media object, presented or not: at or before `startNs`. */
  readonly objectStartNs: bigint
  readonly keyFrameCount: number
  /** From the start of the last sample to `endNs`. */
  readonly lastDurationNs: bigint
}

export interface PlanOptions {
  readonly segmentSeconds: Rational
  /** Position of `origin` on the flow's timeline. */
  readonly startNs: bigint
  /** Seconds on the file's timeline. */
  readonly origin: Rational
}

/**
 * Cuts a track near multiples of `segmentSeconds` from the origin, always before a key frame from which on everything is presented
 * later than everything before it. The parts follow each other without gap or overlap, except where the stream itself pauses.
 */
export const planSegments = (track: Track, options: PlanOptions): PlannedSegment[] => {
  const timeOf = (position: number): bigint => options.startNs + positionNs(track, position, options.origin)
  const cuts = [0, ...chooseCuts(track, timeOf, options)]
  return cuts.flatMap((first, i) => {
    const units = track.units.slice(first, cuts[i + 1] ?? track.units.length)
    const segment = describe(units, first, track.kind, timeOf)
    return segment ? [segment] : []
  })
}

const describe = (
  units: readonly Unit[],
  firstPacket: number,
  kind: Track['kind'],
  timeOf: (position: number) => bigint,
): PlannedSegment | undefined => {
  const presented = units.filter((unit) => unit.presented)
  const lastUnit = presented.reduce<Unit | undefined>((last, unit) => (last && last.position > unit.position ? last : unit), undefined)
  if (!lastUnit) return undefined
  const end = lastUnit.position + lastUnit.length
  const endNs = timeOf(end)
  return {
    firstPacket,
    packetCount: units.length,
    startNs: timeOf(minPosition(presented)),
    endNs,
    objectStartNs: timeOf(minPosition(units)),
    keyFrameCount: units.filter((unit) => unit.key).length,
    lastDurationNs: endNs - timeOf(kind === 'audio' ? end - 1 : lastUnit.position),
  }
}

const minPosition = (units: readonly Unit[]): number => units.reduce((min, { position }) => Math.min(min, position), Infinity)

const chooseCuts = (track: Track, timeOf: (position: number) => bigint, { segmentSeconds, startNs }: PlanOptions): number[] => {
  const { units } = track
  const step = (index: bigint): bigint => floorDiv(index * segmentSeconds.num * NS_PER_SECOND, segmentSeconds.den)
  const nearestStep = (ns: bigint): bigint => floorDiv((ns + step(1n) / 2n) * segmentSeconds.den, segmentSeconds.num * NS_PER_SECOND)
  const earliest = timeOf(minPosition(units.filter((unit) => unit.presented))) - startNs
  const end = timeOf(units.reduce((last, unit) => Math.max(last, unit.position + unit.length), -Infinity)) - startNs
  // The last part is longer than half a step.
  const latest = end - step(1n) / 2n
  const best = new Map<bigint, { readonly packet: number; readonly distance: bigint }>()
  for (const { packet, position } of cutPoints(units)) {
    const ns = timeOf(position) - startNs
    const index = nearestStep(ns)
    if (ns <= earliest || ns >= latest || index < 1n || step(index) > latest) continue
    const distance = ns > step(index) ? ns - step(index) : step(index) - ns
    const other = best.get(index)
    if (!other || distance < other.distance) best.set(index, { packet, distance })
  }
  return [...best.values()].map(({ packet }) => packet).toSorted((a, b) => a - b)
}

/** Key packets behind whose number nothing is presented before what precedes them, with the earliest position from there on. */
const cutPoints = (units: readonly Unit[]): { readonly packet: number; readonly position: number }[] => {
  const earliestFrom: number[] = []
  let earliest = Infinity
  for (let i = units.length - 1; i >= 0; i--) earliestFrom[i] = earliest = Math.min(earliest, units[i]?.position ?? Infinity)
  let latestBefore = -Infinity
  return units.flatMap((unit, packet) => {
    const position = earliestFrom[packet] ?? 0
    const clean = unit.key && packet > 0 && latestBefore < position
    latestBefore = Math.max(latestBefore, unit.position)
    return clean ? [{ packet, position }] : []
  })
}
