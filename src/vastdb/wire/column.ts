import { BufferType, Data, type DataType } from 'apache-arrow'

/** The buffers of a column, each absent where the type has none. `offset` counts bits: it is where a bitmap begins, all other buffers begin at 0. */
export interface ColumnBuffers {
  readonly length: number
  readonly nulls: number
  readonly offset?: number
  readonly offsets?: Int32Array | undefined
  readonly values?: ArrayBufferView | undefined
  readonly validity?: Uint8Array | undefined
}

/** Arrow data of `type` out of its buffers and children. */
export const columnOf = (type: DataType, buffers: ColumnBuffers, children: readonly Data[] = []): Data => {
  const { offsets, values, validity } = buffers
  const given: Record<number, ArrayBufferView> = {}
  if (offsets !== undefined) given[BufferType.OFFSET] = offsets
  if (values !== undefined) given[BufferType.DATA] = values
  if (validity !== undefined) given[BufferType.VALIDITY] = validity
  return new Data(type, buffers.offset ?? 0, buffers.length, buffers.nulls, given, [...children])
}
