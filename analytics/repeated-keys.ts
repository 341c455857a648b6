import { DuckDBDataChunk, UUID } from '@duckdb/node-api'
import duckdb from '@duckdb/node-bindings'
import { type Engine, LOADED, type Query } from './engine.ts'
import { OBJECT_KEY, WORDS } from './object-keys.ts'
import { quoteName } from './quote-name.ts'

/** Of the hash of a key: 2^28 bits are 32 MiB, and of ten million different keys some 190,000 meet another one's. */
const HASH_BITS = 28
const CHUNK_ROWS = 2048
const BITS_OF_WORD = 5

/**
 * Keeps, of the keys of objects that a SELECT gives as its only column, those that were (nearly surely) there before, as the column
 * `object` of the table `name`: every key that comes more than once, and some that come once. Grouping the few rows that have one of
 * them takes far less time and memory than grouping all. Gives the number of rows.
 */
export const keepRepeatedKeys = async (engine: Engine, name: string, query: Omit<Query, 'maxRows'>): Promise<number> => {
  const table = `${LOADED}.${quoteName(name)}`
  const drop = () => engine.run(`drop table if exists ${table}`)
  await engine.run(`create table ${table} (${OBJECT_KEY} UUID)`)
  const connection = await engine.connect()
  try {
    const appender = await connection.createAppender(name, LOADED)
    let kept = 0
    const keep = (keys: Int32Array<ArrayBuffer>): void => {
      const rows = keys.length / WORDS
      const chunk = DuckDBDataChunk.create([UUID], rows)
      duckdb.copy_data_to_vector(duckdb.data_chunk_get_vector(chunk.chunk, 0), 0, keys.buffer, keys.byteOffset, keys.byteLength)
      appender.appendDataChunk(chunk)
      kept += rows
    }
    const seen = new SeenKeys(keep)
    try {
      await engine.eachChunk(query, ({ chunk, rowCount }) => {
        const { buffer, byteOffset } = duckdb.vector_get_data(duckdb.data_chunk_get_vector(chunk, 0), rowCount * WORDS * 4)
        seen.add(new Int32Array(buffer, byteOffset, rowCount * WORDS))
      })
      seen.flush()
    } finally {
      appender.closeSync()
    }
    return kept
  } catch (error) {
    await drop()
    throw error
  } finally {
    connection.disconnectSync()
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
