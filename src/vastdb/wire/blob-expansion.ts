// Bodies of blob expansion (a JSON column expanded into typed columns of another table), protobuf package ProtoVast.
import { decodeProto, encodeProto } from './protobuf.ts'

const text = new TextDecoder()
const asText = (value: number | Uint8Array | undefined): string | undefined =>
  value instanceof Uint8Array ? text.decode(value) : undefined
const asBytes = (value: number | Uint8Array | undefined): Uint8Array => (value instanceof Uint8Array ? value : new Uint8Array(0))
const asFlag = (value: number | Uint8Array | undefined): boolean | undefined => (typeof value === 'number' ? value !== 0 : undefined)

export interface CreateBlobExpansion {
  readonly targetTable?: string | undefined
  readonly targetSchema?: string | undefined
  /** `json`. */
  readonly format: string
  /** An IPC schema message of the columns to extract. */
  readonly arrowSchema: Uint8Array
  readonly copySourceColumn?: boolean | undefined
  readonly flattenPath?: boolean | undefined
  readonly flattenDelimiter?: string | undefined
  readonly missingValuesOutput?: boolean | undefined
  readonly excessiveValuesOutput?: boolean | undefined
}

export const encodeCreateBlobExpansion = (request: CreateBlobExpansion): Uint8Array =>
  encodeProto([
    [1, request.targetTable],
    [2, request.format],
    [3, request.arrowSchema],
    [4, request.copySourceColumn],
    [5, request.flattenPath],
    [6, request.flattenDelimiter],
    [7, request.targetSchema],
    [8, request.missingValuesOutput],
    [9, request.excessiveValuesOutput],
  ])

export const decodeCreateBlobExpansion = (bytes: Uint8Array): CreateBlobExpansion => {
  const fields = decodeProto(bytes)
  return {
    targetTable: asText(fields.get(1)),
    format: asText(fields.get(2)) ?? '',
    arrowSchema: asBytes(fields.get(3)),
    copySourceColumn: asFlag(fields.get(4)),
    flattenPath: asFlag(fields.get(5)),
    flattenDelimiter: asText(fields.get(6)),
    targetSchema: asText(fields.get(7)),
    missingValuesOutput: asFlag(fields.get(8)),
    excessiveValuesOutput: asFlag(fields.get(9)),
  }
}

export interface BlobExpansion {
  readonly sourceColumn: string
  /** An absolute path `/<bucket>/<schema>/<table>`, possibly with something before it. */
  readonly targetTable: string
  readonly format: string
  readonly arrowSchema: Uint8Array
  readonly copySourceColumn: boolean
  readonly missingValuesOutput: boolean
  readonly excessiveValuesOutput: boolean
}

export const encodeBlobExpansion = (answer: BlobExpansion): Uint8Array =>
  encodeProto([
    [1, answer.sourceColumn],
    [2, answer.targetTable],
    [3, answer.format],
    [4, answer.arrowSchema],
    [5, answer.copySourceColumn || undefined],
    [6, answer.missingValuesOutput || undefined],
    [7, answer.excessiveValuesOutput || undefined],
  ])

export const decodeBlobExpansion = (bytes: Uint8Array): BlobExpansion => {
  const fields = decodeProto(bytes)
  return {
    sourceColumn: asText(fields.get(1)) ?? '',
    targetTable: asText(fields.get(2)) ?? '',
    format: asText(fields.get(3)) ?? '',
    arrowSchema: asBytes(fields.get(4)),
    copySourceColumn: asFlag(fields.get(5)) ?? false,
    missingValuesOutput: asFlag(fields.get(6)) ?? false,
    excessiveValuesOutput: asFlag(fields.get(7)) ?? false,
  }
}
