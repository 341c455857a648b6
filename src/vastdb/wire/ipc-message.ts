// The encapsulated message of Arrow IPC:  FFFFFFFF | int32 metadata length (multiple of 8) | metadata (Message table) | body
//                           end of stream:  FFFFFFFF 00000000, or the older 00000000
import type { Schema } from 'apache-arrow'
import { readSchemaTable } from './arrow-schema.ts'
import { type FlatTable, rootTable } from './flat-reader.ts'
import { WireError } from './wire-error.ts'

/** Prefix of an encapsulated message in bytes: continuation marker and metadata length. */
export const PREFIX = 8
export const CONTINUATION = 0xffffffff
/** More metadata than any schema of the protocol needs (64,000 columns take about 8 MB). */
const MAX_METADATA = 64 * 1024 * 1024

export type Message =
  | { readonly kind: 'schema'; readonly schema: Schema }
  | { readonly kind: 'batch'; readonly header: FlatTable; readonly body: Uint8Array; readonly bodyOffset: number }
  | { readonly kind: 'end' }

/** Metadata that is worth remembering: the schema of one column takes about 200 bytes, that of a whole table some thousand. */
const MEMO_BYTES = 8192
const MEMO_SCHEMAS = 1024

/** Schemas by the bytes that said them. Answers say the same few again and again: one in front of each column. */
export class SchemaMemo {
  readonly #known = new Map<string, Schema>()

  find(metadata: Uint8Array): Schema | undefined {
    return metadata.length > MEMO_BYTES ? undefined : this.#known.get(keyOf(metadata))
  }

  keep(metadata: Uint8Array, schema: Schema): void {
    if (metadata.length <= MEMO_BYTES && this.#known.size < MEMO_SCHEMAS) this.#known.set(keyOf(metadata), schema)
  }
}

const keyOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')

/** What the first bytes of a message say. `need` is how many bytes must be there before more can be said. */
export type Prefix =
  | { readonly kind: 'need'; readonly need: number }
  | { readonly kind: 'end'; readonly size: number }
  | { readonly kind: 'metadata'; readonly length: number }

/** Reads the prefix at the start of `bytes`, which may still be incomplete. */
export const readPrefix = (bytes: Uint8Array, base: number): Prefix => {
  if (bytes.length < 4) return { kind: 'need', need: 4 }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const marker = view.getUint32(0, true)
  if (marker === 0) return { kind: 'end', size: 4 }
  if (marker !== CONTINUATION) throw new WireError('message', base, `expected ffffffff, found ${marker.toString(16).padStart(8, '0')}`)
  if (bytes.length < PREFIX) return { kind: 'need', need: PREFIX }
  const length = view.getInt32(4, true)
  if (length === 0) return { kind: 'end', size: PREFIX }
  if (length < 0 || length % 8 !== 0 || length > MAX_METADATA) throw new WireError('message', base + 4, `metadata of ${length} bytes`)
  return { kind: 'metadata', length }
}

export interface MessageHeader {
  readonly kind: 'schema' | 'batch'
  readonly table: FlatTable
  readonly bodyLength: number
}

/** Reads the Message table. `base` is where the metadata starts, for errors. */
export const readHeader = (metadata: Uint8Array, base: number): MessageHeader => {
  const message = rootTable(metadata, 'Message', base)
  const type = message.u8(1)
  const bodyLength = message.i64(3)
  if (bodyLength < 0n || bodyLength > BigInt(Number.MAX_SAFE_INTEGER)) throw message.error(3, `body of ${bodyLength} bytes`)
  if (type === 1) return { kind: 'schema', table: message.requiredTable(2, 'Schema'), bodyLength: Number(bodyLength) }
  if (type === 3) return { kind: 'batch', table: message.requiredTable(2, 'RecordBatch'), bodyLength: Number(bodyLength) }
  throw message.error(1, `expected a Schema or a RecordBatch, found message type ${type}`)
}

export const messageOf = (header: MessageHeader, body: Uint8Array, bodyOffset: number): Message =>
  header.kind === 'schema'
    ? { kind: 'schema', schema: readSchemaTable(header.table) }
    : { kind: 'batch', header: header.table, body, bodyOffset }

/** The message at `at`, and where the next one starts. Bytes that end inside a message are an error. */
export const readMessage = (bytes: Uint8Array, at: number, schemas?: SchemaMemo): { readonly message: Message; readonly next: number } => {
  const rest = bytes.subarray(at)
  const prefix = readPrefix(rest, at)
  if (prefix.kind === 'need') throw new WireError('message', at, `${rest.length} bytes left, expected ${prefix.need}`)
  if (prefix.kind === 'end') return { message: { kind: 'end' }, next: at + prefix.size }
  const bodyAt = at + PREFIX + prefix.length
  if (bodyAt > bytes.length) throw new WireError('message', at, `metadata of ${prefix.length} bytes ends after the last byte`)
  const metadata = bytes.subarray(at + PREFIX, bodyAt)
  const known = schemas?.find(metadata)
  if (known) return { message: { kind: 'schema', schema: known }, next: bodyAt }
  const header = readHeader(metadata, at + PREFIX)
  const next = bodyAt + header.bodyLength
  if (next > bytes.length) throw new WireError('message', bodyAt, `body of ${header.bodyLength} bytes, ${bytes.length - bodyAt} are left`)
  const message = messageOf(header, bytes.subarray(bodyAt, next), bodyAt)
  if (message.kind === 'schema' && header.bodyLength === 0) schemas?.keep(metadata, message.schema)
  return { message, next }
}
