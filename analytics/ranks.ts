/** Numbers, and what goes along with each. No NaN, and no negative zero: `0` and `-0` would be told apart. */
export interface Keyed {
  readonly keys: Float64Array<ArrayBuffer>
  readonly along: Uint32Array<ArrayBuffer>
}

export const keyed = (rows: number): Keyed => ({ keys: new Float64Array(rows), along: new Uint32Array(rows) })

/** Between two rounds over all rows: lets others have their turn, and throws where nobody waits for the end any more. */
export type Pause = () => Promise<void>

/**
 * Leaves in `along` the rank of each row's key, doubled so that it is whole: equal keys have the mean of their ranks, which begin with
 * one half. All ranks together have the mean `n`. The keys, and all of `spare`, are overwritten.
 */
export const rank = async (rows: Keyed, spare: Keyed, pause: Pause): Promise<void> => {
  if (rankFew(rows)) return
  for (let i = 0; i < rows.along.length; i++) rows.along[i] = i
  const [sorted, unsorted] = await sortByKeys(rows, spare, pause)
  ranksOfSorted(sorted.keys)
  for (let i = 0; i < sorted.along.length; i++) unsorted.along[sorted.along[i] ?? 0] = sorted.keys[i] ?? 0
  if (unsorted !== rows) rows.along.set(unsorted.along)
}

/** Puts the ranks in the place of sorted keys, in the order in which `sortByKeys` leaves them. */
export const ranksOfSorted = (keys: Float64Array): void => {
  const n = keys.length
  let positive = 0
  while (positive < n && (keys[positive] ?? 0) >= 0) positive++
  for (let from = 0, to = 0; from < n; ) {
    const key = keys[from] ?? 0
    while (to < n && keys[to] === key) to++
    // Negative numbers come last, and the greatest of them first.
    const before = key < 0 ? n - to : n - positive + from
    const rank = 2 * before + to - from
    while (from < to) keys[from++] = rank
  }
}

// Of a number's two words, lower one first: each digit lies in one of them.
const DIGITS = [
  { word: 0, shift: 0, bits: 11 },
  { word: 0, shift: 11, bits: 11 },
  { word: 0, shift: 22, bits: 10 },
  { word: 1, shift: 0, bits: 11 },
  { word: 1, shift: 11, bits: 10 },
  { word: 1, shift: 21, bits: 11 },
] as const
type Digit = (typeof DIGITS)[number]

/**
 * Sorts by the bits of the keys, digit by digit, and gives what is sorted and what is not, each of them one of the two: first the
 * positive numbers, ascending, then the negative ones, descending.
 */
export const sortByKeys = async (rows: Keyed, spare: Keyed, pause: Pause): Promise<readonly [sorted: Keyed, other: Keyed]> => {
  const different = differentBits(rows.keys)
  let [from, to] = [rows, spare]
  for (const digit of DIGITS) {
    if (((different[digit.word] >>> digit.shift) & maskOf(digit)) === 0) continue
    await pause()
    place(from, to, digit)
    ;[from, to] = [to, from]
  }
  return [from, to]
}

const wordsOf = (keys: Float64Array<ArrayBuffer>): Uint32Array => new Uint32Array(keys.buffer, keys.byteOffset, keys.length * 2)
const maskOf = ({ bits }: Digit): number => 2 ** bits - 1

const differentBits = (keys: Float64Array<ArrayBuffer>): readonly [number, number] => {
  const words = wordsOf(keys)
  const [first0 = 0, first1 = 0] = words
  let different0 = 0
  let different1 = 0
  for (let i = 0; i < words.length; i += 2) {
    different0 |= (words[i] ?? 0) ^ first0
    different1 |= (words[i + 1] ?? 0) ^ first1
  }
  return [different0, different1]
}

const place = (from: Keyed, to: Keyed, digit: Digit): void => {
  const words = wordsOf(from.keys)
  const { word, shift } = digit
  const mask = maskOf(digit)
  const next = new Uint32Array(mask + 1)
  for (let i = word; i < words.length; i += 2) {
    const value = ((words[i] ?? 0) >>> shift) & mask
    next[value] = (next[value] ?? 0) + 1
  }
  let before = 0
  for (let value = 0; value <= mask; value++) {
    const count = next[value] ?? 0
    next[value] = before
    before += count
  }
  const { keys, along } = from
  for (let i = 0; i < keys.length; i++) {
    const value = ((words[2 * i + word] ?? 0) >>> shift) & mask
    const at = next[value] ?? 0
    next[value] = at + 1
    to.keys[at] = keys[i] ?? 0
    to.along[at] = along[i] ?? 0
  }
}

const SLOT_BITS = 13
const SLOTS = 2 ** SLOT_BITS

/** Where there are few different keys, counting them is quicker than sorting. Does nothing and gives false where there are many. */
const rankFew = ({ keys, along }: Keyed): boolean => {
  const words = wordsOf(keys)
  // Open addressing; NaN is a free slot.
  const slots = new Float64Array(SLOTS).fill(Number.NaN)
  const counts = new Uint32Array(SLOTS)
  let different = 0
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] ?? 0
    let slot = hashOf(words, i)
    for (let found = slots[slot]; found !== key; found = slots[slot]) {
      if (Number.isNaN(found)) {
        if (++different > SLOTS / 2) return false
        slots[slot] = key
        break
      }
      slot = (slot + 1) % SLOTS
    }
    counts[slot] = (counts[slot] ?? 0) + 1
    along[i] = slot
  }
  const inOrder = [...slots.keys()].filter((slot) => counts[slot] !== 0).sort((a, b) => (slots[a] ?? 0) - (slots[b] ?? 0))
  let before = 0
  for (const slot of inOrder) {
    const count = counts[slot] ?? 0
    counts[slot] = 2 * before + count
    before += count
  }
  for (let i = 0; i < along.length; i++) along[i] = counts[along[i] ?? 0] ?? 0
  return true
}

const hashOf = (words: Uint32Array, row: number): number =>
  Math.imul((words[2 * row] ?? 0) ^ (words[2 * row + 1] ?? 0), 0x9e37_79b1) >>> (32 - SLOT_BITS)
