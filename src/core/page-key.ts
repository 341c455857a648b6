import { invalid, type TamsError } from './errors.ts'
import type { Value } from './predicate.ts'
import { isUuid } from './uuid.ts'

/*
 * base64url of: crc32 over scope and values (4 bytes), then each value as a tag byte and
 *   text     length (LEB128), UTF-8 bytes      uuid     16 bytes
 *   integer  64 bits, big endian               float    IEEE 754 double, big endian
 */
enum Tag {
  Null,
  False,
  True,
  Text,
  Uuid,
  Integer,
  Float,
}

const CHECKSUM_BYTES = 4

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The values of the last row seen as an opaque, URL-safe text. `scope` names the listing and its order: only a listing of the
 * same scope accepts the key. Text must be well-formed and a bigint fit in 64 bits, as in every row.
 */
export const encodePageKey = (scope: string, values: readonly Value[]): string => {
  const parts = values.map(encodeValue)
  const body = Buffer.concat(parts)
  const key = Buffer.allocUnsafe(CHECKSUM_BYTES + body.length)
  key.writeUInt32BE(checksum(scope, body))
  body.copy(key, CHECKSUM_BYTES)
  return key.toString('base64url')
}

/**
 * Throws `invalid`, naming `page`, for a key that was altered or belongs to another listing. The checksum notices accidents
 * and guesses; it is no signature, so a key gives no right to see anything.
 */
export const decodePageKey = (scope: string, key: string): readonly Value[] => {
  const bytes = Buffer.from(key, 'base64url')
  // Buffer skips what is not base64url and ignores spare bits in the last character: both are alterations.
  if (bytes.length < CHECKSUM_BYTES || bytes.toString('base64url') !== key) throw refused()
  const body = bytes.subarray(CHECKSUM_BYTES)
  if (bytes.readUInt32BE() !== checksum(scope, body)) throw refused()
  return decodeValues(body)
}

const refused = (cause?: unknown): TamsError => invalid('page', 'this is not a page key of this listing', cause)

const checksum = (scope: string, body: Uint8Array): number => Bun.hash.crc32(body, Bun.hash.crc32(encoder.encode(scope)))

const encodeValue = (value: Value): Buffer => {
  if (value === null) return Buffer.of(Tag.Null)
  if (value === false) return Buffer.of(Tag.False)
  if (value === true) return Buffer.of(Tag.True)
  if (typeof value === 'bigint') {
    const bytes = Buffer.alloc(9, Tag.Integer)
    bytes.writeBigInt64BE(value, 1)
    return bytes
  }
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(9, Tag.Float)
    bytes.writeDoubleBE(value, 1)
    return bytes
  }
  if (isUuid(value)) return Buffer.concat([Buffer.of(Tag.Uuid), Buffer.from(value.replaceAll('-', ''), 'hex')])
  const text = encoder.encode(value)
  return Buffer.concat([Buffer.of(Tag.Text, ...leb128(text.length)), text])
}

const decodeValues = (body: Buffer): readonly Value[] => {
  const values: Value[] = []
  let at = 0
  const take = (length: number): Buffer => {
    if (at + length > body.length) throw refused()
    at += length
    return body.subarray(at - length, at)
  }
  const byte = (): number => take(1).readUInt8()
  const length = (): number => {
    let result = 0
    for (let shift = 0; shift <= 14; shift += 7) {
      const next = byte()
      result |= (next & 0x7f) << shift
      if (next < 0x80) return result
    }
    throw refused()
  }
  while (at < body.length) values.push(decodeValue(byte(), take, length))
  return values
}

const decodeValue = (tag: number, take: (length: number) => Buffer, length: () => number): Value => {
  switch (tag) {
    case Tag.Null:
      return null
    case Tag.False:
      return false
    case Tag.True:
      return true
    case Tag.Integer:
      return take(8).readBigInt64BE()
    case Tag.Float:
      return take(8).readDoubleBE()
    case Tag.Uuid:
      return take(16)
        .toString('hex')
        .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    case Tag.Text:
      return text(take(length()))
    default:
      throw refused()
  }
}

const text = (bytes: Uint8Array): string => {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw refused(cause)
  }
}

const leb128 = (value: number): readonly number[] => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb128(value >>> 7)])
