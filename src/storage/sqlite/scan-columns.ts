import type { ColumnKind } from '../check-row.ts'
import { integerOf } from './pages/integers.ts'
import { FLOAT_TYPE, NULL_TYPE, type StoredRow, textBytes } from './pages/record.ts'
import type { ColumnBuffers } from './scan-protocol.ts'
import type { SqlValue } from './table-info.ts'

/** Collects the cells of one column in Arrow's layout, batch after batch. */
export interface ColumnBuilder {
  add(value: SqlValue): void
  /** A value as SQLite stores it. */
  addStored(row: StoredRow, place: number): void
  /** Bytes of text in this batch so far: what the number of rows does not bound. */
  readonly textBytes: number
  /** Gives the batch, whose buffers are the caller's, and begins another. */
  finish(): ColumnBuffers
}

/** `capacity`: most rows of a batch. */
export const columnBuilder = (kind: ColumnKind, capacity: number): ColumnBuilder => {
  switch (kind) {
    case 'text':
      return new TextBuilder(capacity)
    case 'int64':
      return new Int64Builder(capacity)
    case 'int32':
      return new Int32Builder(capacity)
    case 'float64':
      return new Float64Builder(capacity)
    case 'bool':
      return new BoolBuilder(capacity)
    default:
      throw new Error(`unhandled ${kind satisfies never}`)
  }
}

const bytesOf = (bits: number): number => (bits + 7) >> 3

// Bit set: the cell has a value. Kept from the first null on only.
class Validity {
  nulls = 0
  private bits: Uint8Array<ArrayBuffer> | undefined

  constructor(private readonly capacity: number) {}

  clear(i: number): void {
    this.bits ??= new Uint8Array(bytesOf(this.capacity)).fill(255)
    this.bits[i >> 3] = (this.bits[i >> 3] ?? 0) & ~(1 << (i & 7))
    this.nulls++
  }

  finish(): Pick<ColumnBuffers, 'nulls' | 'valid'> {
    const { nulls, bits } = this
    this.nulls = 0
    this.bits = undefined
    return { nulls, valid: bits }
  }
}

type Numbers = BigInt64Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Float64Array<ArrayBuffer> | Uint8Array<ArrayBuffer>

abstract class PlainBuilder<A extends Numbers> implements ColumnBuilder {
  readonly textBytes = 0
  protected data: A
  private rows = 0
  private readonly validity: Validity

  constructor(private readonly capacity: number) {
    this.validity = new Validity(capacity)
    this.data = this.room(capacity)
  }

  add(value: SqlValue): void {
    if (value === null) this.validity.clear(this.rows)
    else this.set(this.rows, value)
    this.rows++
  }

  addStored({ bytes, starts, types }: StoredRow, place: number): void {
    const type = types[place] as number
    if (type === NULL_TYPE) this.validity.clear(this.rows)
    else this.setStored(this.rows, bytes, starts[place] as number, type)
    this.rows++
  }

  finish(): ColumnBuffers {
    const { data } = this
    this.data = this.room(this.capacity)
    this.rows = 0
    return { ...this.validity.finish(), data }
  }

  protected abstract room(capacity: number): A
  protected abstract set(row: number, value: SqlValue): void
  protected abstract setStored(row: number, bytes: Buffer, at: number, type: number): void
}

class Int64Builder extends PlainBuilder<BigInt64Array<ArrayBuffer>> {
  // The same memory, so that a stored number becomes no `bigint` on its way.
  declare private words: Int32Array<ArrayBuffer>

  protected room(capacity: number): BigInt64Array<ArrayBuffer> {
    const data = new BigInt64Array(capacity)
    this.words = new Int32Array(data.buffer)
    return data
  }

  protected set(row: number, value: SqlValue): void {
    this.data[row] = value as bigint
  }

  protected setStored(row: number, bytes: Buffer, at: number, type: number): void {
    integerOf(bytes, at, type, this.words, 2 * row)
  }
}

class Int32Builder extends PlainBuilder<Int32Array<ArrayBuffer>> {
  protected room(capacity: number): Int32Array<ArrayBuffer> {
    return new Int32Array(capacity)
  }

  protected set(row: number, value: SqlValue): void {
    this.data[row] = Number(value)
  }

  protected setStored(row: number, bytes: Buffer, at: number, type: number): void {
    integerOf(bytes, at, type, WORDS, 0)
    this.data[row] = WORDS[0] as number
  }
}

class Float64Builder extends PlainBuilder<Float64Array<ArrayBuffer>> {
  protected room(capacity: number): Float64Array<ArrayBuffer> {
    return new Float64Array(capacity)
  }

  protected set(row: number, value: SqlValue): void {
    this.data[row] = Number(value)
  }

  protected setStored(row: number, bytes: Buffer, at: number, type: number): void {
    this.data[row] = type === FLOAT_TYPE ? bytes.readDoubleBE(at) : numberOf(bytes, at, type)
  }
}

class BoolBuilder extends PlainBuilder<Uint8Array<ArrayBuffer>> {
  protected room(capacity: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(bytesOf(capacity))
  }

  protected set(row: number, value: SqlValue): void {
    if (Number(value) === 1) this.data[row >> 3] = (this.data[row >> 3] ?? 0) | (1 << (row & 7))
  }

  protected setStored(row: number, bytes: Buffer, at: number, type: number): void {
    this.set(row, numberOf(bytes, at, type))
  }
}

const WORDS = new Int32Array(2)

/** What a float column keeps as an integer. */
const numberOf = (bytes: Buffer, at: number, type: number): number => {
  integerOf(bytes, at, type, WORDS, 0)
  return (WORDS[1] as number) * 2 ** 32 + ((WORDS[0] as number) >>> 0)
}

// After so many texts it shows whether they repeat.
const PROBE = 4096
const NONE = -1

/**
 * Codes into the texts of this batch. Rows come in key order, so a text is often that of the row before; where nearly all differ (ids of
 * the rows themselves) they are not looked up any more, and one that comes twice is there twice.
 */
class TextBuilder implements ColumnBuilder {
  private rows = 0
  private codes: Int32Array<ArrayBuffer>
  private readonly texts = new Texts()
  private known: Map<string, number> | undefined = new Map()
  private last: string | undefined
  private lastCode = NONE
  private readonly validity: Validity

  constructor(private readonly capacity: number) {
    this.codes = new Int32Array(capacity)
    this.validity = new Validity(capacity)
  }

  get textBytes(): number {
    return this.texts.bytes
  }

  add(value: SqlValue): void {
    if (value === null) this.validity.clear(this.rows++)
    else {
      if (value !== this.last) {
        this.last = value as string
        this.lastCode = this.code(value as string)
      }
      this.codes[this.rows++] = this.lastCode
    }
  }

  addStored({ bytes, view, starts, types }: StoredRow, place: number): void {
    const type = types[place] as number
    if (type === NULL_TYPE) {
      this.validity.clear(this.rows++)
      return
    }
    const at = starts[place] as number
    const length = textBytes(type)
    if (!this.texts.is(this.lastCode, view, at, length)) {
      this.last = undefined
      this.lastCode = this.known ? this.code(bytes.toString('utf8', at, at + length)) : this.texts.copy(view, at, length)
    }
    this.codes[this.rows++] = this.lastCode
  }

  finish(): ColumnBuffers {
    const { codes } = this
    this.codes = new Int32Array(this.capacity)
    this.rows = 0
    if (this.known) this.known = new Map()
    this.last = undefined
    this.lastCode = NONE
    return { ...this.validity.finish(), data: codes, dictionary: this.texts.finish() }
  }

  private code(text: string): number {
    let code = this.known?.get(text)
    if (code === undefined) {
      code = this.texts.add(text)
      this.known?.set(text, code)
      if (code === PROBE && this.rows < 2 * PROBE) this.known = undefined
    }
    return code
  }
}

/** Most that one unit of UTF-16 takes in UTF-8. */
const BYTES_OF_A_UNIT = 3

/**
 * UTF-8 in one piece. Written at once: texts that are held until the batch ends cost three times as much, mostly in collecting them. The
 * room stays from batch to batch: fresh memory costs as much as writing to it.
 */
class Texts {
  bytes = 0
  private size = 0
  private room = Buffer.allocUnsafeSlow(65_536)
  private view = new DataView(this.room.buffer)
  private offsets = new Int32Array(4096)

  /** Gives the text's number. */
  add(text: string): number {
    this.reserve(text.length * BYTES_OF_A_UNIT)
    return this.end(this.room.write(text, this.bytes))
  }

  /** The same of UTF-8. */
  copy(from: DataView, at: number, length: number): number {
    this.reserve(length)
    const { view, bytes } = this
    const whole = length & ~3
    let i = 0
    for (; i < whole; i += 4) view.setUint32(bytes + i, from.getUint32(at + i, true), true)
    for (; i < length; i++) view.setUint8(bytes + i, from.getUint8(at + i))
    return this.end(length)
  }

  /** Whether the text of that number is this one. */
  is(number: number, from: DataView, at: number, length: number): boolean {
    if (number < 0) return false
    const { view, offsets } = this
    const start = offsets[number] as number
    if ((offsets[number + 1] as number) - start !== length) return false
    // Four bytes at a time.
    const whole = length & ~3
    let i = 0
    for (; i < whole; i += 4) if (view.getUint32(start + i, true) !== from.getUint32(at + i, true)) return false
    for (; i < length; i++) if (view.getUint8(start + i) !== from.getUint8(at + i)) return false
    return true
  }

  finish(): NonNullable<ColumnBuffers['dictionary']> {
    const { size, bytes } = this
    this.size = 0
    this.bytes = 0
    return { size, offsets: this.offsets.slice(0, size + 1), bytes: new Uint8Array(this.room.subarray(0, bytes)) }
  }

  private reserve(more: number): void {
    const most = this.bytes + more
    if (most <= this.room.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(most, 2 * this.room.length))
    larger.set(this.room.subarray(0, this.bytes))
    this.room = larger
    this.view = new DataView(larger.buffer)
  }

  private end(written: number): number {
    this.bytes += written
    const number = this.size++
    if (this.size >= this.offsets.length) {
      const larger = new Int32Array(2 * this.offsets.length)
      larger.set(this.offsets)
      this.offsets = larger
    }
    this.offsets[this.size] = this.bytes
    return number
  }
}
