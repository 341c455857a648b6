import type { ColumnKind } from '../check-row.ts'
import type { ColumnBuffers } from './scan-protocol.ts'
import type { SqlValue } from './table-info.ts'

/** Collects the cells of one column for one batch, in Arrow's layout. */
export interface ColumnBuilder {
  add(value: SqlValue): void
  /** Bytes of text so far: what the number of rows does not bound. */
  readonly textBytes: number
  finish(): ColumnBuffers
}

export const columnBuilder = (kind: ColumnKind, capacity: number): ColumnBuilder => {
  switch (kind) {
    case 'text':
      return new TextBuilder(capacity)
    case 'int64':
      return new PlainBuilder(new BigInt64Array(capacity), capacity, (data, i, value) => {
        data[i] = value as bigint
      })
    case 'int32':
      return new PlainBuilder(new Int32Array(capacity), capacity, (data, i, value) => {
        data[i] = Number(value)
      })
    case 'float64':
      return new PlainBuilder(new Float64Array(capacity), capacity, (data, i, value) => {
        data[i] = Number(value)
      })
    case 'bool':
      return new PlainBuilder(new Uint8Array(bytesOf(capacity)), capacity, (data, i, value) => {
        if (Number(value) === 1) data[i >> 3] = (data[i >> 3] ?? 0) | (1 << (i & 7))
      })
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
    return { nulls: this.nulls, valid: this.bits }
  }
}

type Numbers = BigInt64Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Float64Array<ArrayBuffer> | Uint8Array<ArrayBuffer>

class PlainBuilder<A extends Numbers> implements ColumnBuilder {
  readonly textBytes = 0
  private rows = 0
  private readonly validity: Validity

  constructor(
    private readonly data: A,
    capacity: number,
    private readonly set: (data: A, i: number, value: SqlValue) => void,
  ) {
    this.validity = new Validity(capacity)
  }

  add(value: SqlValue): void {
    if (value === null) this.validity.clear(this.rows)
    else this.set(this.data, this.rows, value)
    this.rows++
  }

  finish(): ColumnBuffers {
    return { ...this.validity.finish(), data: this.data }
  }
}

/** Codes into the distinct texts of this batch. */
class TextBuilder implements ColumnBuilder {
  textBytes = 0
  private rows = 0
  private readonly codes: Int32Array<ArrayBuffer>
  private readonly known = new Map<string, number>()
  private readonly validity: Validity

  constructor(capacity: number) {
    this.codes = new Int32Array(capacity)
    this.validity = new Validity(capacity)
  }

  add(value: SqlValue): void {
    if (value === null) this.validity.clear(this.rows++)
    else this.codes[this.rows++] = this.code(value as string)
  }

  finish(): ColumnBuffers {
    const offsets = new Int32Array(this.known.size + 1)
    const bytes = new Uint8Array(this.textBytes)
    const encoder = new TextEncoder()
    let end = 0
    let i = 0
    for (const text of this.known.keys()) {
      // One unit of UTF-16 is at most three bytes, which `textBytes` reserves.
      end += encoder.encodeInto(text, bytes.subarray(end)).written
      offsets[++i] = end
    }
    return { ...this.validity.finish(), data: this.codes, dictionary: { size: this.known.size, offsets, bytes: bytes.slice(0, end) } }
  }

  private code(text: string): number {
    let code = this.known.get(text)
    if (code === undefined) {
      code = this.known.size
      this.known.set(text, code)
      this.textBytes += text.length * 3
    }
    return code
  }
}
