import type { RecordBatch, Schema } from 'apache-arrow'
import { type Columns, readBatch, readColumns } from './ipc-batch.ts'
import { type EncodeOptions, encodeBatchMessage, encodeColumnsMessage, encodeEnd, encodeSchemaMessage } from './ipc-encode.ts'
import { readMessage, type SchemaMemo } from './ipc-message.ts'
import { WireError } from './wire-error.ts'

export { type EncodeOptions, encodeBatchMessage, encodeColumnsMessage, encodeEnd, encodeSchemaMessage } from './ipc-encode.ts'

const joined = (parts: readonly Uint8Array[]): Uint8Array => {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    result.set(part, at)
    at += part.length
  }
  return result
}

/** Schema, one batch, end-of-stream: the body of insert, update and delete, and the answer of insert. */
export const encodeStream = (batch: RecordBatch, options: EncodeOptions = {}): Uint8Array =>
  joined([encodeSchemaMessage(batch.schema), encodeBatchMessage(batch, options), encodeEnd()])

/** The same of columns. */
export const encodeColumnsStream = (schema: Schema, { rows, columns }: Columns): Uint8Array =>
  joined([encodeSchemaMessage(schema), encodeColumnsMessage(columns, rows), encodeEnd()])

/** Schema and end-of-stream: the answer of a column listing. */
export const encodeSchemaStream = (schema: Schema): Uint8Array => joined([encodeSchemaMessage(schema), encodeEnd()])

/** The schema at the start of a message or stream; what follows is not read. */
export const decodeSchema = (bytes: Uint8Array): Schema => {
  const { message } = readMessage(bytes, 0)
  if (message.kind !== 'schema') throw new WireError('stream', 0, `expected a schema, found ${message.kind}`)
  return message.schema
}

/** A whole IPC stream. The end-of-stream message may be missing. Schemas that are in the memo are not read again. */
export const decodeStream = (
  bytes: Uint8Array,
  schemas?: SchemaMemo,
): { readonly schema: Schema; readonly batches: readonly RecordBatch[] } => {
  const batches: RecordBatch[] = []
  const schema = eachBatch(bytes, schemas, (...batch) => void batches.push(readBatch(...batch)))
  return { schema, batches }
}

type BatchParts = Parameters<typeof readColumns>

/** Gives what each batch of a stream is read from; answers its schema. */
const eachBatch = (bytes: Uint8Array, schemas: SchemaMemo | undefined, take: (...batch: BatchParts) => void): Schema => {
  const first = readMessage(bytes, 0, schemas)
  if (first.message.kind !== 'schema') throw new WireError('stream', 0, `expected a schema, found ${first.message.kind}`)
  const { schema } = first.message
  let at = first.next
  while (at < bytes.length) {
    const { message, next } = readMessage(bytes, at)
    if (message.kind === 'end') break
    if (message.kind === 'schema') throw new WireError('stream', at, 'a second schema')
    take(schema, message.header, message.body, message.bodyOffset)
    at = next
  }
  return schema
}

const onlyOne = <T>(batches: readonly T[]): T => {
  const [batch] = batches
  if (batch === undefined || batches.length !== 1) throw new WireError('stream', 0, `expected one batch, found ${batches.length}`)
  return batch
}

/** The one batch of a stream that must hold exactly one (insert, update, delete, row ids). */
export const decodeOneBatch = (bytes: Uint8Array, schemas?: SchemaMemo): RecordBatch => onlyOne(decodeStream(bytes, schemas).batches)

/** The same as columns, which take less time to make. */
export const decodeOneColumns = (bytes: Uint8Array, schemas?: SchemaMemo): Columns & { readonly schema: Schema } => {
  const batches: Columns[] = []
  const schema = eachBatch(bytes, schemas, (...batch) => void batches.push(readColumns(...batch)))
  return { schema, ...onlyOne(batches) }
}
