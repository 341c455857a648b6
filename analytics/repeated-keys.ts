import { type Engine, memoryFailure, type Query } from './engine.ts'
import { CHUNK_ROWS, openKeyTable } from './load.ts'
import { WORDS } from './object-keys.ts'

/** Of the hash of a key: 2^28 bits are 32 MiB, and of ten million different keys some 190,000 meet another one's. */
const HASH_BITS = 28
const BITS_OF_WORD = 5

/**
 * Keeps, of the keys of objects that a SELECT gives as its only column, those that were (nearly surely) there before, as the column
 * `object` of the table `name`: every key that comes more than once, and some that come once. Grouping the few rows that have one of
 * them takes far less time and memory than grouping all. Gives the number of rows. Throws what `Engine.query` does.
 */
export const keepRepeatedKeys = async (engine: Engine, name: string, query: Omit<Query, 'maxRows'>): Promise<number> => {
  const table = await openKeyTable(engine, name)
  try {
    let kept = 0
    const seen = new SeenKeys((keys) => {
      kept += keys.length / WORDS
      table.append(keys)
    })
    try {
      await engine.withRows(query, (rows) => rows.each((chunk) => seen.add(chunk.words(0))))
      seen.flush()
    } finally {
      table.close()
    }
    return kept
  } catch (error) {
    await table.drop()
    throw memoryFailure(error) ?? error
  }
}

/** A Bloom filter with one hash, as a list of bits: a key whose bit is set already goes to `keep`, with others of its kind. */
class SeenKeys {
  private readonly bits = new Int32Array(2 ** (HASH_BITS - BITS_OF_WORD))
  private readonly again = new Int32Array(CHUNK_ROWS * WORDS)
  private filled = 0

  constructor(private readonly keep: (keys: Int32Array<ArrayBuffer>) => void) {}

  add(words: Int32Array): void {
    const { bits } = this
    for (let i = 0; i < words.length; i += WORDS) {
      const hash = hashOf(words, i)
      const at = hash >>> BITS_OF_WORD
      const bit = 1 << hash
      const before = bits[at] ?? 0
      if ((before & bit) === 0) bits[at] = before | bit
      else this.put(words, i)
    }
  }

  flush(): void {
    if (this.filled > 0) this.keep(this.again.subarray(0, this.filled))
    this.filled = 0
  }

  private put(words: Int32Array, from: number): void {
    for (let word = 0; word < WORDS; word++) this.again[this.filled++] = words[from + word] ?? 0
    if (this.filled === this.again.length) this.flush()
  }
}

// Odd numbers without a pattern: keys often begin with a time, and differ at their end only.
const hashOf = (words: Int32Array, at: number): number => {
  const mixed =
    Math.imul(words[at] ?? 0, 0x9e37_79b1) ^
    Math.imul(words[at + 1] ?? 0, 0x85eb_ca77) ^
    Math.imul(words[at + 2] ?? 0, 0xc2b2_ae3d) ^
    Math.imul(words[at + 3] ?? 0, 0x27d4_eb2f)
  return (mixed ^ (mixed >>> 15)) >>> (32 - HASH_BITS)
}
