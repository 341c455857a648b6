import type { PageReader } from './images.ts'

// https://www.sqlite.org/fileformat2.html#record_format

/** How a cell is kept; from 13 on the odd ones are texts of `textBytes`. */
export const NULL_TYPE = 0
export const FLOAT_TYPE = 7
export const ZERO_TYPE = 8
export const ONE_TYPE = 9
export const EMPTY_TEXT_TYPE = 13

export const textBytes = (type: number): number => {
  if (type < EMPTY_TEXT_TYPE || type % 2 === 0) throw new Error(`a cell of text of the store has the serial type ${type}`)
  return (type - EMPTY_TEXT_TYPE) / 2
}

const INTEGER_BYTES = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0]

const bytesOf = (type: number): number => {
  if (type >= 12) return (type - (type % 2 === 0 ? 12 : EMPTY_TEXT_TYPE)) / 2
  const bytes = INTEGER_BYTES[type]
  if (bytes === undefined) throw new Error(`a cell of the store has the serial type ${type}`)
  return bytes
}

/** A row as SQLite stores it: the bytes that it lies in, and where in them its values begin. */
export interface StoredRow {
  readonly bytes: Buffer
  /** The same bytes. */
  readonly view: DataView
  /** Serial types. */
  readonly types: Int32Array
  readonly starts: Int32Array
}

/** One row after the other: where its first columns lie, in the order in which they are stored. */
export class RecordReader implements StoredRow {
  bytes: Buffer = Buffer.alloc(0)
  view: DataView = new DataView(new ArrayBuffer(0))
  readonly types: Int32Array
  readonly starts: Int32Array
  private readonly mostLocal: number
  private readonly leastLocal: number
  private end = 0

  /** `absent`: for each column that is wanted, and those before it, the type of a cell that a row from before the column has. */
  constructor(
    private readonly reader: PageReader,
    private readonly absent: readonly number[],
  ) {
    this.types = new Int32Array(absent.length)
    this.starts = new Int32Array(absent.length)
    const room = reader.images.usable - 12
    this.mostLocal = Math.floor((room * 64) / 255) - 23
    this.leastLocal = Math.floor((room * 32) / 255) - 23
  }

  /** `at`: where in the page the length of the payload stands, and it behind that. */
  open(page: Buffer, at: number): void {
    this.use(page)
    const length = this.number(at)
    let start = this.end
    if (length > this.mostLocal) start = this.gather(length)
    else if (start + length > this.reader.images.usable) throw new Error('a row of the store goes beyond its page')
    const after = start + length
    let value = start + this.number(start)
    const values = value
    let header = this.end
    const { bytes, types, starts, absent } = this
    for (let column = 0; column < types.length; column++) {
      if (header >= values) {
        types[column] = absent[column] as number
        continue
      }
      let type = bytes[header] as number
      if (type < 128) header++
      else {
        type = this.number(header)
        header = this.end
      }
      types[column] = type
      starts[column] = value
      value += type < 12 ? bytesOf(type) : (type - 12) >> 1
    }
    if (value > after) throw new Error('a row of the store is longer than it says')
  }

  private use(bytes: Buffer): void {
    if (bytes === this.bytes) return
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** A number of 1 to 9 bytes; `end` is behind it. */
  private number(at: number): number {
    const { bytes } = this
    let value = bytes[at] as number
    if (value < 128) {
      this.end = at + 1
      return value
    }
    value = 0
    for (let i = 0; i < 8; i++) {
      const byte = bytes[at + i] as number
      value = value * 128 + (byte & 127)
      if (byte < 128) {
        this.end = at + i + 1
        return value
      }
    }
    throw new Error('a row of the store is too long to be one')
  }

  /** Puts a payload together of which the page has the beginning only. */
  private gather(length: number): number {
    const { usable, pageSize, pages } = this.reader.images
    const surplus = this.leastLocal + ((length - this.leastLocal) % (usable - 4))
    const local = surplus <= this.mostLocal ? surplus : this.leastLocal
    const from = this.end
    if (length > pages * pageSize || from + local + 4 > usable) throw new Error('a row of the store goes beyond its page')
    const whole = Buffer.allocUnsafe(length)
    let filled = this.bytes.copy(whole, 0, from, from + local)
    let page = this.bytes.readUInt32BE(from + local)
    const next = Buffer.allocUnsafe(pageSize)
    while (filled < length) {
      this.reader.read(page, next)
      page = next.readUInt32BE(0)
      filled += next.copy(whole, filled, 4, Math.min(usable, 4 + length - filled))
    }
    this.use(whole)
    return 0
  }
}
