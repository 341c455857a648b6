import { type Keyed, type Pause, ranksOfSorted, sortByKeys } from './sort-keys.ts'

const SLOT_BITS = 13
const SLOTS = 2 ** SLOT_BITS
// Above it looking for a slot takes long.
const FEW = SLOTS / 2

/** Numbers in the order of their rows. Of few different ones, as durations mostly are, codes are kept: ranks come from counting them. */
export class NumberColumn {
  // Open addressing; NaN is a free slot.
  private readonly slots = new Float64Array(SLOTS).fill(Number.NaN)
  private readonly counts = new Uint32Array(SLOTS)
  private different = 0
  private readonly codes: Uint32Array<ArrayBuffer>
  private numbers: Float64Array<ArrayBuffer> | undefined
  private filled = 0

  constructor(rows: number) {
    this.codes = new Uint32Array(rows)
  }

  /** No NaN, and no negative zero: `0` and `-0` would be told apart. */
  add(values: Float64Array<ArrayBuffer>): void {
    let done = 0
    if (!this.numbers) {
      done = this.addCodes(values)
      if (done < values.length) this.numbers = this.decoded()
    }
    this.numbers?.set(values.subarray(done), this.filled)
    this.filled += values.length - done
  }

  /** By row, doubled, as `ranksOfSorted` tells. The column is used up. */
  async ranks(pause: Pause): Promise<Uint32Array<ArrayBuffer>> {
    return this.numbers ? sortedRanks({ keys: this.numbers, along: this.codes }, pause) : this.countedRanks()
  }

  /** Gives its memory back. */
  free(): void {
    this.codes.buffer.transfer(0)
    this.numbers?.buffer.transfer(0)
  }

  /** Gives how many of them have a code; less than all where there are too many different ones. */
  private addCodes(values: Float64Array<ArrayBuffer>): number {
    const { slots, counts, codes, filled } = this
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2)
    for (let i = 0; i < values.length; i++) {
      const value = values[i] ?? 0
      let slot = (Math.imul(words[2 * i] ?? 0, 0x85eb_ca77) ^ Math.imul(words[2 * i + 1] ?? 0, 0x9e37_79b1)) >>> (32 - SLOT_BITS)
      for (let found = slots[slot]; found !== value; found = slots[slot]) {
        if (Number.isNaN(found)) {
          if (this.different === FEW) {
            this.filled += i
            return i
          }
          this.different++
          slots[slot] = value
          break
        }
        slot = (slot + 1) % SLOTS
      }
      counts[slot] = (counts[slot] ?? 0) + 1
      codes[filled + i] = slot
    }
    this.filled += values.length
    return values.length
  }

  private decoded(): Float64Array<ArrayBuffer> {
    const numbers = new Float64Array(this.codes.length)
    for (let i = 0; i < this.filled; i++) numbers[i] = this.slots[this.codes[i] ?? 0] ?? 0
    return numbers
  }

  private countedRanks(): Uint32Array<ArrayBuffer> {
    const { slots, counts, codes } = this
    const ascending = [...slots.keys()].filter((slot) => counts[slot] !== 0).sort((a, b) => (slots[a] ?? 0) - (slots[b] ?? 0))
    const ranks = new Uint32Array(SLOTS)
    let before = 0
    for (const slot of ascending) {
      const count = counts[slot] ?? 0
      ranks[slot] = 2 * before + count
      before += count
    }
    for (let i = 0; i < codes.length; i++) codes[i] = ranks[codes[i] ?? 0] ?? 0
    return codes
  }
}

const sortedRanks = async (rows: Keyed, pause: Pause): Promise<Uint32Array<ArrayBuffer>> => {
  const { keys, along } = rows
  for (let i = 0; i < along.length; i++) along[i] = i
  await sortByKeys(rows, pause)
  await pause()
  ranksOfSorted(keys)
  await pause()
  const ranks = new Uint32Array(along.length)
  for (let i = 0; i < along.length; i++) ranks[along[i] ?? 0] = keys[i] ?? 0
  return ranks
}
