/** An exact fraction; `den` is positive. */
export interface Rational {
  readonly num: bigint
  readonly den: bigint
}

export const NS_PER_SECOND = 1_000_000_000n

export const rational = (num: bigint | number, den: bigint | number = 1): Rational => ({ num: BigInt(num), den: BigInt(den) })

/** Of the form `25/1` or `16:9`; undefined where a part is zero or it is none. */
export const parseRational = (text: string | undefined): Rational | undefined => {
  const match = /^(\d+)[/:](\d+)$/.exec(text ?? '')
  if (!match?.[1] || !match[2]) return undefined
  const value = rational(BigInt(match[1]), BigInt(match[2]))
  return value.num === 0n || value.den === 0n ? undefined : reduce(value)
}

/** A decimal such as `1.92` exactly; undefined where it is no positive number. */
export const parseDecimal = (text: string): Rational | undefined => {
  const match = /^(\d{1,9})(?:\.(\d{1,9}))?$/.exec(text)
  if (!match?.[1]) return undefined
  const fraction = match[2] ?? ''
  const value = rational(BigInt(match[1] + fraction), 10n ** BigInt(fraction.length))
  return value.num === 0n ? undefined : reduce(value)
}

export const floorDiv = (a: bigint, b: bigint): bigint => (a % b !== 0n && a < 0n !== b < 0n ? a / b - 1n : a / b)

/** `count` units of `unit` seconds in whole nanoseconds, rounded down: the one rounding, so that neighbours stay contiguous. */
export const toNs = (count: bigint | number, unit: Rational): bigint => floorDiv(BigInt(count) * unit.num * NS_PER_SECOND, unit.den)

/** `ticks` of `base` seconds as a count of `unit` seconds, to the nearest one. */
export const rescale = (ticks: number, base: Rational, unit: Rational): number => {
  const num = BigInt(ticks) * base.num * unit.den
  const den = base.den * unit.num
  return Number(floorDiv(2n * num + den, 2n * den))
}

export const reduce = ({ num, den }: Rational): Rational => {
  let [a, b] = [num < 0n ? -num : num, den]
  while (b !== 0n) [a, b] = [b, a % b]
  return a === 0n ? { num, den } : { num: num / a, den: den / a }
}
