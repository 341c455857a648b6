/** Numbers, and what goes along with each. No NaN, and no negative zero: `0` and `-0` would be told apart. */
export interface Keyed {
  readonly keys: Float64Array<ArrayBuffer>
  readonly along: Uint32Array<ArrayBuffer>
}

/** Between two rounds over many rows: lets others have their turn, and throws where nobody waits for the end any more. */
export type Pause = () => Promise<void>

/**
 * Puts ranks in the place of keys that `sortByKeys` has sorted. They are doubled, so that they are whole: equal keys have the mean of
 * their ranks, which begin with one half. The mean of all ranks is the number of keys.
 */
export const ranksOfSorted = (keys: Float64Array): void => {
  const n = keys.length
  let positive = 0
  while (positive < n && (keys[positive] ?? 0) >= 0) positive++
  for (let from = 0, to = 0; from < n; ) {
    const key = keys[from] ?? 0
    do to++
    while (to < n && keys[to] === key)
    // Negative numbers come last, and the greatest of them first.
    const before = key < 0 ? n - to : n - positive + from
    const rank = 2 * before + to - from
    while (from < to) keys[from++] = rank
  }
}

// Rows that stay in the processor's cache while they are sorted.
const CACHED_ROWS = 2 ** 17
// Rows between two pauses.
const ROUND_ROWS = 2 ** 20

/** Rows whose keys have all bytes above `byte` in common; 0 is the lowest. */
interface Range {
  readonly from: number
  readonly to: number
  readonly byte: number
}

/**
 * Sorts by the bits of the keys: first the positive numbers, ascending, then the negative ones, descending. Byte by byte from the
 * highest, in place (memory that is new costs more than the moving), until so few rows have those bytes in common that they can be
 * sorted from the lowest digit, with a copy.
 */
export const sortByKeys = async ({ keys, along }: Keyed, pause: Pause): Promise<void> => {
  const rows = { keys, along, words: wordsOf(keys) }
  const spare = withWords({ keys: new Float64Array(CACHED_ROWS), along: new Uint32Array(CACHED_ROWS) })
  const ranges: Range[] = [{ from: 0, to: keys.length, byte: 7 }]
  let moved = 0
  for (let range = ranges.pop(); range; range = ranges.pop()) {
    moved += range.to - range.from
    if (moved >= ROUND_ROWS) {
      await pause()
      moved = 0
    }
    if (range.to - range.from <= CACHED_ROWS) sortCached(withWords(part(rows, range)), spare)
    else if (range.byte >= 0) ranges.push(...partition(rows, range))
  }
}

/** The keys' two words as well, the lower one first. */
interface Rows extends Keyed {
  readonly words: Uint32Array<ArrayBuffer>
}

const wordsOf = (keys: Float64Array<ArrayBuffer>) => new Uint32Array(keys.buffer, keys.byteOffset, keys.length * 2)
const withWords = ({ keys, along }: Keyed): Rows => ({ keys, along, words: wordsOf(keys) })
const part = ({ keys, along }: Keyed, { from, to }: Pick<Range, 'from' | 'to'>): Keyed => ({
  keys: keys.subarray(from, to),
  along: along.subarray(from, to),
})

/** Brings the rows of a range into the order of their byte (American flag sort), and gives the ranges of each of its values. */
const partition = ({ keys, along, words }: Rows, { from, to, byte }: Range): Range[] => {
  const word = byte >> 2
  const shift = (byte & 3) * 8
  const counts = new Uint32Array(256)
  for (let i = from; i < to; i++) {
    const value = ((words[2 * i + word] ?? 0) >>> shift) & 255
    counts[value] = (counts[value] ?? 0) + 1
  }
  const next = new Uint32Array(256)
  const ranges: Range[] = []
  let before = from
  for (const [value, count] of counts.entries()) {
    next[value] = before
    if (count > 0) ranges.push({ from: before, to: before + count, byte: byte - 1 })
    before += count
  }
  if (ranges.length === 1) return ranges
  let end = from
  for (const [value, count] of counts.entries()) {
    end += count
    for (let i = next[value] ?? 0; i < end; i++) {
      let key = keys[i] ?? 0
      let beside = along[i] ?? 0
      let belongs = ((words[2 * i + word] ?? 0) >>> shift) & 255
      // Whatever is in the way goes on to where it belongs itself, until something comes that belongs here.
      while (belongs !== value) {
        const at = next[belongs] ?? 0
        next[belongs] = at + 1
        belongs = ((words[2 * at + word] ?? 0) >>> shift) & 255
        const otherKey = keys[at] ?? 0
        const otherBeside = along[at] ?? 0
        keys[at] = key
        along[at] = beside
        key = otherKey
        beside = otherBeside
      }
      keys[i] = key
      along[i] = beside
    }
  }
  return ranges
}

// Each digit lies in one word.
const DIGITS = [
  { word: 0, shift: 0, bits: 11 },
  { word: 0, shift: 11, bits: 11 },
  { word: 0, shift: 22, bits: 10 },
  { word: 1, shift: 0, bits: 11 },
  { word: 1, shift: 11, bits: 11 },
  { word: 1, shift: 22, bits: 10 },
] as const
type Digit = (typeof DIGITS)[number]
const maskOf = ({ bits }: Digit): number => 2 ** bits - 1

/** Sorts a few rows digit by digit, from the lowest. */
const sortCached = (rows: Rows, spare: Rows): void => {
  const different = differentBits(rows)
  let [from, to] = [rows, spare]
  for (const digit of DIGITS) {
    if (((different[digit.word] >>> digit.shift) & maskOf(digit)) === 0) continue
    place(from, to, rows.keys.length, digit)
    ;[from, to] = [to, from]
  }
  if (from === rows) return
  const sorted = part(from, { from: 0, to: rows.keys.length })
  rows.keys.set(sorted.keys)
  rows.along.set(sorted.along)
}

const differentBits = ({ words }: Rows): readonly [number, number] => {
  const [first0 = 0, first1 = 0] = words
  let different0 = 0
  let different1 = 0
  for (let i = 0; i < words.length; i += 2) {
    different0 |= (words[i] ?? 0) ^ first0
    different1 |= (words[i + 1] ?? 0) ^ first1
  }
  return [different0, different1]
}

const place = ({ keys, along, words }: Rows, to: Keyed, count: number, digit: Digit): void => {
  const { word, shift } = digit
  const mask = maskOf(digit)
  const places = new Uint32Array(mask + 1)
  for (let i = word; i < 2 * count; i += 2) {
    const value = ((words[i] ?? 0) >>> shift) & mask
    places[value] = (places[value] ?? 0) + 1
  }
  let before = 0
  for (let value = 0; value <= mask; value++) {
    const values = places[value] ?? 0
    places[value] = before
    before += values
  }
  for (let i = 0; i < count; i++) {
    const value = ((words[2 * i + word] ?? 0) >>> shift) & mask
    const at = places[value] ?? 0
    places[value] = at + 1
    to.keys[at] = keys[i] ?? 0
    to.along[at] = along[i] ?? 0
  }
}
