/** Bytes that cannot be what the protocol says they are. `offset` is the byte, counted from the start of `where`, that could not be read. */
export class WireError extends Error {
  override readonly name: string = 'WireError'
  readonly offset: number
  /** What was being read: `frame`, `RecordBatch`, `Field` … */
  readonly where: string

  constructor(where: string, offset: number, problem: string, options?: ErrorOptions) {
    super(`${where}, byte ${offset}: ${problem}`, options)
    this.offset = offset
    this.where = where
  }
}

/** A column type that the protocol has no place for (dictionary, union, null, 64-bit offsets, …). A server answers `TabularUnsupportedColumnType`. */
export class UnsupportedTypeError extends WireError {
  override readonly name: string = 'UnsupportedTypeError'
}
