// Protobuf (proto3) as far as blob expansion needs it: varints for bool, length-delimited for text, bytes and messages.
import { WireError } from './wire-error.ts'

export type ProtoValue = boolean | string | Uint8Array | undefined

const varint = (value: number): number[] => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)])

/** Fields in the order given; `undefined` is left out, everything else is written (optional fields keep their zero values). */
export const encodeProto = (fields: readonly (readonly [number, ProtoValue])[]): Uint8Array => {
  const parts = fields.flatMap(([id, value]) => {
    if (value === undefined) return []
    if (typeof value === 'boolean') return [Uint8Array.from([...varint(id << 3), Number(value)])]
    const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value
    return [Uint8Array.from([...varint((id << 3) | 2), ...varint(bytes.length)]), bytes]
  })
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  parts.reduce((at, part) => {
    result.set(part, at)
    return at + part.length
  }, 0)
  return result
}

/** Field number → the last value seen: a number for varints, a view for length-delimited fields; fixed-width fields are skipped. */
export const decodeProto = (bytes: Uint8Array): ReadonlyMap<number, number | Uint8Array> => {
  const fields = new Map<number, number | Uint8Array>()
  let at = 0
  const readVarint = (): number => {
    const start = at
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at]
      if (byte === undefined) throw new WireError('protobuf', at, 'the message ends inside a number')
      at += 1
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        if (value > BigInt(Number.MAX_SAFE_INTEGER)) break
        return Number(value)
      }
    }
    throw new WireError('protobuf', start, 'a number of too many bits')
  }
  const skip = (size: number): number => {
    if (at + size > bytes.length) throw new WireError('protobuf', at, `a field of ${size} bytes, ${bytes.length - at} are left`)
    at += size
    return at - size
  }
  while (at < bytes.length) {
    const start = at
    const tag = readVarint()
    const id = Math.floor(tag / 8)
    const wireType = tag % 8
    if (wireType === 0) fields.set(id, readVarint())
    else if (wireType === 1) skip(8)
    else if (wireType === 5) skip(4)
    else if (wireType === 2) {
      const size = readVarint()
      const from = skip(size)
      fields.set(id, bytes.subarray(from, from + size))
    } else throw new WireError('protobuf', start, `wire type ${wireType}`)
  }
  return fields
}
