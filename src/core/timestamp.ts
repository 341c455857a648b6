import { invalid } from './errors.ts'
import { quote } from './uuid.ts'

/** Nanoseconds, signed 64 bit: ±292 years around the epoch of the timeline. */
export const MIN_NS = -(2n ** 63n)
export const MAX_NS = 2n ** 63n - 1n

/** Pattern of the specification (tams-behaviour.md 2.1): `{sign?}{seconds}:{nanoseconds}`, a count of nanoseconds and no fraction. */
export const TIMESTAMP_PATTERN = '^-?(0|[1-9][0-9]*):(0|[1-9][0-9]{0,8})$'
// `$` without the m flag matches only at the very end in JavaScript, so a trailing newline does not pass.
const timestampRegExp = new RegExp(TIMESTAMP_PATTERN)

const NS_PER_SECOND = 1_000_000_000n
// More digits are beyond 64 bits anyway; the check keeps BigInt from being fed megabytes.
const MAX_SECONDS_DIGITS = 20

/** Beyond ±292 years this gives ±2^80 at most: callers clamp or refuse. */
export const timestampNs = (text: string): bigint | undefined => {
  if (!timestampRegExp.test(text)) return undefined
  const negative = text.startsWith('-')
  const colon = text.indexOf(':')
  const seconds = text.slice(negative ? 1 : 0, colon)
  const magnitude = seconds.length > MAX_SECONDS_DIGITS ? 2n ** 80n : BigInt(seconds) * NS_PER_SECOND + BigInt(text.slice(colon + 1))
  return negative ? -magnitude : magnitude
}

/** Throws `invalid`, naming `field`: no timestamp of the specification, or beyond 64-bit nanoseconds. */
export const parseTimestamp = (text: unknown, field: string): bigint => {
  const ns = typeof text === 'string' ? timestampNs(text) : undefined
  if (ns === undefined) throw invalid(field, `${quote(text)} is not a timestamp of the form {sign?}{seconds}:{nanoseconds}`)
  if (ns < MIN_NS || ns > MAX_NS) throw invalid(field, `${quote(text)} is outside the 64-bit nanosecond range (±292 years)`)
  return ns
}

/** Canonical text: the sign applies to the whole value, and zero has none. */
export const formatTimestamp = (ns: bigint): string => {
  const magnitude = ns < 0n ? -ns : ns
  return `${ns < 0n ? '-' : ''}${magnitude / NS_PER_SECOND}:${magnitude % NS_PER_SECOND}`
}
