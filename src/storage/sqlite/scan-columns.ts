import type { ColumnKind } from '../check-row.ts'
import type { ColumnBuffers } from './scan-protocol.ts'
import type { SqlValue } from './table-info.ts'

/** Collects the cells of one column in Arrow's layout, batch after batch. */
export interface ColumnBuilder {
  add(value: SqlValue): void
  /** The same value so many times. */
  repeat(value: SqlValue, times: number): void
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
      return new PlainBuilder(
        () => new BigInt64Array(capacity),
        capacity,
        (data, i, value) => {
          data[i] = value as bigint
        },
      )
    case 'int32':
      return new PlainBuilder(
        () => new Int32Array(capacity),
        capacity,
        (data, i, value) => {
          data[i] = Number(value)
        },
      )
    case 'float64':
      return new PlainBuilder(
        () => new Float64Array(capacity),
        capacity,
        (data, i, value) => {
          data[i] = Number(value)
        },
      )
    case 'bool':
      return new PlainBuilder(
        () => new Uint8Array(bytesOf(capacity)),
        capacity,
        (data, i, value) => {
          if (Number(value) === 1) data[i >> 3] = (data[i >> 3] ?? 0) | (1 << (i & 7))
        },
      )
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

class PlainBuilder<A extends Numbers> implements ColumnBuilder {
  readonly textBytes = 0
  private rows = 0
  private data: A
  private readonly validity: Validity

  constructor(
    private readonly room: () => A,
    capacity: number,
    private readonly set: (data: A, i: number, value: SqlValue) => void,
  ) {
    this.data = room()
    this.validity = new Validity(capacity)
  }

  add(value: SqlValue): void {
    if (value === null) this.validity.clear(this.rows)
    else this.set(this.data, this.rows, value)
    this.rows++
  }

  repeat(value: SqlValue, times: number): void {
    for (let i = 0; i < times; i++) this.add(value)
  }

  finish(): ColumnBuffers {
    const { data } = this
    this.data = this.room()
    this.rows = 0
    return { ...this.validity.finish(), data }
  }
}

// After so many texts it shows whether they repeat.
const PROBE = 4096

/**
 * Codes into the texts of this batch. Rows come in key order, so a text is often that of the row before; where nearly all differ (ids of
 * the rows themselves) they are not looked up, and one that comes twice is there twice.
 */
class TextBuilder implements ColumnBuilder {
  private rows = 0
  private codes: Int32Array<ArrayBuffer>
  private readonly texts = new Texts()
  private known: Map<string, number> | undefined = new Map()
  private last: string | undefined
  private lastCode = 0
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

  repeat(value: SqlValue, times: number): void {
    if (times === 0) return
    this.add(value)
    if (value === null) for (let i = 1; i < times; i++) this.add(null)
    else {
      this.codes.fill(this.lastCode, this.rows, this.rows + times - 1)
      this.rows += times - 1
    }
  }

  finish(): ColumnBuffers {
    const { codes } = this
    this.codes = new Int32Array(this.capacity)
    this.rows = 0
    this.known = new Map()
    this.last = undefined
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
  private offsets = new Int32Array(4096)

  /** Gives the text's number. */
  add(text: string): number {
    const most = this.bytes + text.length * BYTES_OF_A_UNIT
    if (most > this.room.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(most, 2 * this.room.length))
      larger.set(this.room.subarray(0, this.bytes))
      this.room = larger
    }
    this.bytes += this.room.write(text, this.bytes)
    const number = this.size++
    if (this.size >= this.offsets.length) {
      const larger = new Int32Array(2 * this.offsets.length)
      larger.set(this.offsets)
      this.offsets = larger
    }
    this.offsets[this.size] = this.bytes
    return number
  }

  finish(): NonNullable<ColumnBuffers['dictionary']> {
    const { size, bytes } = this
    this.size = 0
    this.bytes = 0
    return { size, offsets: this.offsets.slice(0, size + 1), bytes: new Uint8Array(this.room.subarray(0, bytes)) }
  }
}
