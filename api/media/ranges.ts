import type { ByteRange } from '../../src/storage/media.ts'

/** More in one request than any player asks for; each costs a part header and a seek. */
const MOST_RANGES = 16

/**
 * What a `Range` header asks of `size` bytes (RFC 9110 14.2): undefined when it is to be ignored (another unit, bad syntax), an
 * empty list when nothing of it can be sent: no range is inside, there are too many, or together they are more than the object.
 */
export const parseRanges = (header: string, size: number): readonly ByteRange[] | undefined => {
  const set = /^bytes=(.+)$/i.exec(header.trim())?.[1]
  if (set === undefined) return undefined
  const specs = set.split(',').map((spec) => spec.trim())
  const parsed = specs.filter((spec) => spec !== '').map((spec) => /^(\d*)-(\d*)$/.exec(spec))
  const ranges: ByteRange[] = []
  for (const match of parsed) {
    const [first, last] = [match?.[1] ?? '', match?.[2] ?? '']
    if (match === null || (first === '' && last === '')) return undefined
    if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
    const range = toByteRange(first, last, size)
    if (range.start < range.end) ranges.push(range)
  }
  if (parsed.length === 0) return undefined
  const total = ranges.reduce((sum, { start, end }) => sum + end - start, 0)
  return parsed.length > MOST_RANGES || total > size ? [] : ranges
}

/** Empty when no byte of it is inside. */
const toByteRange = (first: string, last: string, size: number): ByteRange => {
  if (first === '') return { start: Math.max(0, size - Number(last)), end: size }
  return { start: Number(first), end: last === '' ? size : Math.min(Number(last) + 1, size) }
}

export const contentRange = ({ start, end }: ByteRange, size: number): string => `bytes ${start}-${end - 1}/${size}`
