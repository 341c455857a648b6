import { Builder } from 'flatbuffers'

/** A position in the buffer that is being built (the package's own meaning: bytes from the end). */
export type Offset = number

/** A table with `slots` field ids; `add` writes them in the order that it calls the builder. Values equal to the default are left out. */
export const writeTable = (builder: Builder, slots: number, add: () => void = () => undefined): Offset => {
  builder.startObject(slots)
  add()
  return builder.endObject()
}

/** A vector of offsets (tables or strings). */
export const writeOffsets = (builder: Builder, offsets: readonly Offset[]): Offset => {
  builder.startVector(4, offsets.length, 4)
  for (const offset of offsets.toReversed()) builder.addOffset(offset)
  return builder.endVector()
}

/** A vector of structs of two int64 each. */
export const writePairs = (builder: Builder, pairs: readonly (readonly [bigint, bigint])[]): Offset => {
  builder.startVector(16, pairs.length, 8)
  for (const [first, second] of pairs.toReversed()) {
    builder.prep(8, 16)
    builder.writeInt64(second)
    builder.writeInt64(first)
  }
  return builder.endVector()
}

export const writeBytes = (builder: Builder, bytes: Uint8Array): Offset => builder.createByteVector(bytes)

export const writeString = (builder: Builder, text: string | Uint8Array): Offset => builder.createString(text)

/** One buffer: `write` gives the root table. */
export const flatBuffer = (write: (builder: Builder) => Offset): Uint8Array => {
  const builder = new Builder(256)
  builder.finish(write(builder))
  return builder.asUint8Array().slice()
}
