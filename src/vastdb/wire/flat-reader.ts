// FlatBuffers reading. The `flatbuffers` package reads without bounds checks, and a damaged length then means a very long loop, so the
// reading side is here: every access is checked, and every error names its byte.
import { WireError } from './wire-error.ts'

const MAX_DEPTH = 200
const utf8 = new TextDecoder('utf-8', { fatal: true })

interface Source {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly base: number
  /** Tables that may still be opened. Shared offsets make a small buffer stand for an exponential tree. */
  budget: number
}

/** Names are short: a decoder takes longer to call than to read them here. */
const SHORT = 24

/** Undefined for what is longer, or not ASCII. */
const asciiOf = (bytes: Uint8Array): string | undefined => {
  if (bytes.length > SHORT) return undefined
  let text = ''
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0
    if (byte > 0x7f) return undefined
    text += String.fromCharCode(byte)
  }
  return text
}

/** One table of a FlatBuffers buffer. Slots are field ids; an absent slot gives the default (scalars) or `undefined`. */
export class FlatTable {
  readonly #source: Source
  readonly #position: number
  readonly #name: string
  readonly #depth: number
  readonly #vtable: number
  readonly #vtableSize: number
  readonly #tableSize: number

  constructor(source: Source, position: number, name: string, depth: number) {
    this.#source = source
    this.#position = position
    this.#name = name
    this.#depth = depth
    if (depth > MAX_DEPTH) throw this.#error(position, `nested deeper than ${MAX_DEPTH} tables`)
    source.budget -= 1
    if (source.budget < 0) throw this.#error(position, 'more tables than the buffer can hold')
    this.#check(position, 4)
    this.#vtable = position - source.view.getInt32(position, true)
    this.#check(this.#vtable, 4)
    this.#vtableSize = source.view.getUint16(this.#vtable, true)
    this.#tableSize = source.view.getUint16(this.#vtable + 2, true)
    if (this.#vtableSize < 4 || this.#vtableSize % 2 !== 0) throw this.#error(this.#vtable, `vtable of ${this.#vtableSize} bytes`)
    this.#check(this.#vtable, this.#vtableSize)
    this.#check(position, this.#tableSize)
  }

  /** Where this table starts, counted from the start of the whole message. */
  get offset(): number {
    return this.#source.base + this.#position
  }

  bool(slot: number): boolean {
    return this.u8(slot) !== 0
  }
  i8(slot: number, absent = 0): number {
    return this.#scalar(slot, 1, absent, (view, at) => view.getInt8(at))
  }
  u8(slot: number, absent = 0): number {
    return this.#scalar(slot, 1, absent, (view, at) => view.getUint8(at))
  }
  i16(slot: number, absent = 0): number {
    return this.#scalar(slot, 2, absent, (view, at) => view.getInt16(at, true))
  }
  u16(slot: number, absent = 0): number {
    return this.#scalar(slot, 2, absent, (view, at) => view.getUint16(at, true))
  }
  i32(slot: number, absent = 0): number {
    return this.#scalar(slot, 4, absent, (view, at) => view.getInt32(at, true))
  }
  u32(slot: number, absent = 0): number {
    return this.#scalar(slot, 4, absent, (view, at) => view.getUint32(at, true))
  }
  i64(slot: number, absent = 0n): bigint {
    return this.#scalar(slot, 8, absent, (view, at) => view.getBigInt64(at, true))
  }
  u64(slot: number, absent = 0n): bigint {
    return this.#scalar(slot, 8, absent, (view, at) => view.getBigUint64(at, true))
  }
  f32(slot: number): number {
    return this.#scalar(slot, 4, 0, (view, at) => view.getFloat32(at, true))
  }
  f64(slot: number): number {
    return this.#scalar(slot, 8, 0, (view, at) => view.getFloat64(at, true))
  }

  /** A string; ill-formed UTF-8 is an error (a prefix bound may be such bytes: read it with `bytes`). */
  string(slot: number): string | undefined {
    const bytes = this.bytes(slot)
    if (bytes === undefined) return undefined
    const short = asciiOf(bytes)
    if (short !== undefined) return short
    try {
      return utf8.decode(bytes)
    } catch (cause) {
      throw this.error(slot, 'text that is not UTF-8', cause)
    }
  }

  requiredString(slot: number): string {
    const text = this.string(slot)
    if (text === undefined) throw this.error(slot, 'expected a string, found nothing')
    return text
  }

  /** A string or a byte vector, as a view. */
  bytes(slot: number): Uint8Array | undefined {
    const at = this.#indirect(slot)
    if (at === undefined) return undefined
    const length = this.#vectorLength(at, 1)
    return this.#source.bytes.subarray(at + 4, at + 4 + length)
  }

  table(slot: number, name: string): FlatTable | undefined {
    const at = this.#indirect(slot)
    return at === undefined ? undefined : new FlatTable(this.#source, at, name, this.#depth + 1)
  }

  requiredTable(slot: number, name: string): FlatTable {
    const table = this.table(slot, name)
    if (table === undefined) throw this.error(slot, `expected a ${name}, found nothing`)
    return table
  }

  /** A vector of tables; absent is empty. */
  tables(slot: number, name: string): FlatTable[] {
    const at = this.#indirect(slot)
    if (at === undefined) return []
    const length = this.#vectorLength(at, 4)
    const found: FlatTable[] = []
    for (let entry = at + 4; entry < at + 4 + 4 * length; entry += 4)
      found.push(new FlatTable(this.#source, this.#follow(entry), name, this.#depth + 1))
    return found
  }

  /** A vector of structs of int64 pairs (FieldNode and Buffer of Arrow), exact as far as a number is; absent is empty. */
  pairs(slot: number): (readonly [number, number])[] {
    const at = this.#indirect(slot)
    if (at === undefined) return []
    const length = this.#vectorLength(at, 16)
    const { view } = this.#source
    const long = (from: number): number => view.getInt32(from + 4, true) * 0x1_0000_0000 + view.getUint32(from, true)
    const found: (readonly [number, number])[] = []
    for (let from = at + 4; from < at + 4 + 16 * length; from += 16) found.push([long(from), long(from + 8)])
    return found
  }

  error(slot: number, problem: string, cause?: unknown): WireError {
    return new WireError(this.#name, this.offset, `slot ${slot}: ${problem}`, cause === undefined ? undefined : { cause })
  }

  #scalar<T>(slot: number, size: number, absent: T, read: (view: DataView, at: number) => T): T {
    const at = this.#slot(slot)
    if (at === undefined) return absent
    this.#check(at, size)
    return read(this.#source.view, at)
  }

  #slot(slot: number): number | undefined {
    const entry = 4 + 2 * slot
    if (entry + 2 > this.#vtableSize) return undefined
    const relative = this.#source.view.getUint16(this.#vtable + entry, true)
    return relative === 0 ? undefined : this.#position + relative
  }

  #indirect(slot: number): number | undefined {
    const at = this.#slot(slot)
    return at === undefined ? undefined : this.#follow(at)
  }

  #follow(at: number): number {
    this.#check(at, 4)
    return at + this.#source.view.getUint32(at, true)
  }

  #vectorLength(at: number, elementSize: number): number {
    this.#check(at, 4)
    const length = this.#source.view.getUint32(at, true)
    if (at + 4 + length * elementSize > this.#source.bytes.length) throw this.#error(at, `vector of ${length} ends after the buffer`)
    return length
  }

  #check(at: number, size: number): void {
    const { length } = this.#source.bytes
    if (at < 0 || at + size > length) throw this.#error(at, `${size} bytes lie outside the buffer of ${length}`)
  }

  #error(at: number, problem: string): WireError {
    return new WireError(this.#name, this.#source.base + at, problem)
  }
}

/** The root table of a finished buffer. `base` is added to the offsets in errors. */
export const rootTable = (bytes: Uint8Array, name: string, base = 0): FlatTable => {
  if (bytes.length < 8) throw new WireError(name, base, `a buffer of ${bytes.length} bytes, expected at least 8`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return new FlatTable({ bytes, view, base, budget: Math.max(64, bytes.length) }, view.getUint32(0, true), name, 0)
}
