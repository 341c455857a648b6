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

// After so many texts it shows whether they repeat.
const PROBE = 4096

/**
 * Codes into the texts of this batch. Rows come in key order, so a text is often that of the row before; where nearly all differ (ids of
 * the rows themselves) they are not looked up, and one that comes twice is there twice.
 */
class TextBuilder implements ColumnBuilder {
  textBytes = 0
  private rows = 0
  private readonly codes: Int32Array<ArrayBuffer>
  private readonly texts: string[] = []
  private known: Map<string, number> | undefined = new Map()
  private last: string | undefined
  private lastCode = 0
  private readonly validity: Validity

  constructor(capacity: number) {
    this.codes = new Int32Array(capacity)
    this.validity = new Validity(capacity)
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

  finish(): ColumnBuffers {
    return { ...this.validity.finish(), data: this.codes, dictionary: { size: this.texts.length, ...encoded(this.texts, this.textBytes) } }
  }

  private code(text: string): number {
    let code = this.known?.get(text)
    if (code === undefined) {
      code = this.texts.length
      this.texts.push(text)
      this.textBytes += text.length * BYTES_OF_A_UNIT
      this.known?.set(text, code)
      if (code === PROBE && this.rows < 2 * PROBE) this.known = undefined
    }
    return code
  }
}

/** Most that one unit of UTF-16 takes in UTF-8. */
const BYTES_OF_A_UNIT = 3

const encoded = (texts: readonly string[], mostBytes: number) => {
  const encoder = new TextEncoder()
  const offsets = new Int32Array(texts.length + 1)
  // All at once, which is several times faster: offsets are lengths where every character is one byte.
  const all = texts.join('')
  const bytes = encoder.encode(all)
  let end = 0
  if (bytes.length === all.length) {
    for (const [i, text] of texts.entries()) {
      end += text.length
      offsets[i + 1] = end
    }
    return { offsets, bytes }
  }
  const room = new Uint8Array(mostBytes)
  for (const [i, text] of texts.entries()) {
    end += encoder.encodeInto(text, room.subarray(end)).written
    offsets[i + 1] = end
  }
  return { offsets, bytes: room.slice(0, end) }
}
