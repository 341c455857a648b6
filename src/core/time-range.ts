import { invalid } from './errors.ts'
import { formatTimestamp, MAX_NS, MIN_NS, timestampNs } from './timestamp.ts'
import { quote } from './uuid.ts'

const TIMESTAMP = '-?(?:0|[1-9][0-9]*):(?:0|[1-9][0-9]{0,8})'
/** Pattern of the specification (tams-behaviour.md 2.2). */
export const TIMERANGE_PATTERN = `^(\\[|\\()?(-?(0|[1-9][0-9]*):(0|[1-9][0-9]{0,8}))?(_(-?(0|[1-9][0-9]*):(0|[1-9][0-9]{0,8}))?)?(\\]|\\))?$`
const timeRangeRegExp = new RegExp(`^([[(]?)(${TIMESTAMP})?(?:(_)(${TIMESTAMP})?)?([\\])]?)$`)

/**
 * A stretch of a timeline as half-open integer nanoseconds, so that clusivity is settled once: `[2:0]` is 2 s up to 2 s + 1 ns
 * and starts after `[1:0_2:0)`. An absent bound runs to eternity.
 */
export class TimeRange {
  static readonly eternity = new TimeRange(undefined, undefined, '_', false, false)
  static readonly never = new TimeRange(0n, 0n, '()', false, false)

  private constructor(
    readonly startNs: bigint | undefined,
    readonly endNs: bigint | undefined,
    private readonly text: string,
    /** Written with `(` next to a start. */
    readonly startExclusive: boolean,
    /** Written with an inclusive end: the samples have no duration. */
    readonly endInclusive: boolean,
  ) {}

  /**
   * For query parameters: every text of the pattern has a meaning (empty and contradicting ones are `never`), and bounds beyond
   * 64-bit nanoseconds are clamped. Throws `invalid`, naming `field`, for anything else.
   */
  static parse(text: string, field = 'timerange'): TimeRange {
    return parse(text, field, false)
  }

  /** For bodies: what is no honest range (`[10:0)`, `[`, ``) and bounds beyond 64-bit nanoseconds throw `invalid`. */
  static parseStrict(text: unknown, field = 'timerange'): TimeRange {
    return parse(text, field, true)
  }

  /** `[start_end)`, or with an inclusive end where `endInclusive`; `()` when empty. */
  static of(startNs: bigint | undefined, endNs: bigint | undefined, endInclusive = false): TimeRange {
    if (startNs !== undefined && endNs !== undefined && endNs <= startNs) return TimeRange.never
    if (startNs === undefined && endNs === undefined) return TimeRange.eternity
    return TimeRange.make(startNs, endNs, undefined, false, endInclusive && endNs !== undefined)
  }

  /** @internal */
  static make(
    start: bigint | undefined,
    end: bigint | undefined,
    text: string | undefined,
    startExclusive: boolean,
    endInclusive: boolean,
  ) {
    return new TimeRange(start, end, text ?? print(start, end, endInclusive), startExclusive, endInclusive)
  }

  get isEmpty(): boolean {
    return this.startNs !== undefined && this.endNs !== undefined && this.endNs <= this.startNs
  }

  get isEternity(): boolean {
    return this.startNs === undefined && this.endNs === undefined
  }

  overlaps(other: TimeRange): boolean {
    return !this.isEmpty && !other.isEmpty && before(this.startNs, other.endNs) && before(other.startNs, this.endNs)
  }

  /** Every position of `other` is in this one; the empty range is covered by all. */
  covers(other: TimeRange): boolean {
    if (other.isEmpty) return true
    if (this.isEmpty) return false
    const startsBefore = this.startNs === undefined || (other.startNs !== undefined && this.startNs <= other.startNs)
    const endsAfter = this.endNs === undefined || (other.endNs !== undefined && other.endNs <= this.endNs)
    return startsBefore && endsAfter
  }

  equals(other: TimeRange): boolean {
    return this.isEmpty ? other.isEmpty : !other.isEmpty && this.startNs === other.startNs && this.endNs === other.endNs
  }

  /** Moved by `offsetNs`; the end keeps its kind of marker. */
  shift(offsetNs: bigint): TimeRange {
    if (this.isEmpty) return TimeRange.never
    const move = (ns: bigint | undefined) => (ns === undefined ? undefined : ns + offsetNs)
    return TimeRange.of(move(this.startNs), move(this.endNs), this.endInclusive)
  }

  /** Earliest start to latest end; at equal ends the inclusive marker wins. */
  static encompassing(ranges: Iterable<TimeRange>): TimeRange {
    let result = TimeRange.never
    for (const range of ranges) {
      if (range.isEmpty) continue
      if (result.isEmpty) result = TimeRange.of(range.startNs, range.endNs, range.endInclusive)
      else {
        const start = result.startNs === undefined || before(result.startNs, range.startNs) ? result : range
        const last = endsLater(range, result) ? range : result
        result = TimeRange.of(range.startNs === undefined ? undefined : start.startNs, last.endNs, last.endInclusive)
      }
    }
    return result
  }

  /** The text as it came. */
  toString(): string {
    return this.text
  }

  /** Both markers written next to each timestamp, and `[t]` for an instant. */
  canonical(): string {
    return this.isEmpty ? '()' : print(this.startNs, this.endNs, this.endInclusive)
  }
}

// An absent start lies before everything, an absent end after everything.
const before = (startNs: bigint | undefined, endNs: bigint | undefined): boolean =>
  startNs === undefined || endNs === undefined || startNs < endNs

const endsLater = (a: TimeRange, b: TimeRange): boolean => {
  if (b.endNs === undefined) return false
  if (a.endNs === undefined) return true
  return a.endNs > b.endNs || (a.endNs === b.endNs && a.endInclusive)
}

const print = (startNs: bigint | undefined, endNs: bigint | undefined, endInclusive: boolean): string => {
  if (startNs === undefined && endNs === undefined) return '_'
  if (startNs !== undefined && endNs === startNs + 1n && endInclusive) return `[${formatTimestamp(startNs)}]`
  const start = startNs === undefined ? '' : `[${formatTimestamp(startNs)}`
  const end = endNs === undefined ? '' : endInclusive ? `${formatTimestamp(endNs - 1n)}]` : `${formatTimestamp(endNs)})`
  return `${start}_${end}`
}

const parse = (text: unknown, field: string, strict: boolean): TimeRange => {
  const match = typeof text === 'string' ? timeRangeRegExp.exec(text) : null
  if (typeof text !== 'string' || !match) throw invalid(field, `${quote(text)} is not a time range such as [0:0_10:0)`)
  const [, open, first, underscore, last, close] = match
  if (first === undefined && underscore === undefined) {
    if (strict && text !== '()') throw invalid(field, `${quote(text)} is not a time range; the empty one is written ()`)
    return TimeRange.never
  }
  const instant = underscore === undefined
  if (instant && (open === '(' || close === ')')) {
    if (strict) throw invalid(field, `${quote(text)} has one timestamp and an exclusive marker; an instant is written [t]`)
    return TimeRange.never
  }
  const startExclusive = open === '(' && first !== undefined
  const end = instant ? first : last
  const endInclusive = close !== ')' && end !== undefined
  const startNs = first === undefined ? undefined : (timestampNs(first) ?? 0n) + (startExclusive ? 1n : 0n)
  const endNs = end === undefined ? undefined : (timestampNs(end) ?? 0n) + (endInclusive ? 1n : 0n)
  if (strict) refuseOutside(startNs, endNs, field, text)
  if (startNs !== undefined && endNs !== undefined && endNs <= startNs) return TimeRange.never
  return TimeRange.make(clamp(startNs), clamp(endNs), text, startExclusive, endInclusive)
}

const clamp = (ns: bigint | undefined) => (ns === undefined ? undefined : ns < MIN_NS ? MIN_NS : ns > MAX_NS ? MAX_NS : ns)

const refuseOutside = (startNs: bigint | undefined, endNs: bigint | undefined, field: string, text: string): void => {
  if (startNs !== undefined && (startNs < MIN_NS || startNs > MAX_NS))
    throw invalid(field, `${quote(text)} starts outside the 64-bit nanosecond range (±292 years)`)
  if (endNs !== undefined && (endNs < MIN_NS || endNs > MAX_NS))
    throw invalid(field, `${quote(text)} has an exclusive end above 2^63-1 ns (±292 years), which cannot be stored`)
}
