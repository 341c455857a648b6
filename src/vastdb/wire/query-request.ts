// The body of QueryData: Relation{ Source{ name "", filter, schema, projection } }.
import { type Field, Schema } from 'apache-arrow'
import { readFieldTable, writeSchema } from './arrow-schema.ts'
import { type Expression, readExpression, writeFieldIndex, writeFilter } from './expression.ts'
import { rootTable } from './flat-reader.ts'
import { flatBuffer, writeOffsets, writeString, writeTable } from './flat-writer.ts'
import { leafPositions } from './leaves.ts'
import type { Filter } from './predicate.ts'

const SOURCE = 9

export interface QueryRequest {
  /** The columns of the request: those selected first, in order, then those that only filters name. */
  readonly fields: readonly Field[]
  /** How many of `fields`, from the first, are selected. 0 asks for the number of rows only. */
  readonly selected: number
  readonly where: readonly Filter[]
}

/** The request schema for selecting `columns` under `where`, out of the columns of a table. An unknown name: `RangeError`. */
export const queryRequest = (table: readonly Field[], columns: readonly string[], where: readonly Filter[]): QueryRequest => {
  const named = (name: string): Field => {
    const field = table.find((candidate) => candidate.name === name)
    if (field === undefined) throw new RangeError(`no column ${JSON.stringify(name)}`)
    return field
  }
  const filtered = where.map((filter) => [filter.column].flat()[0] ?? '').filter((name) => !columns.includes(name))
  return { fields: [...columns, ...new Set(filtered)].map(named), selected: columns.length, where }
}

export const encodeQueryRequest = ({ fields, selected, where }: QueryRequest): Uint8Array =>
  flatBuffer((builder) => {
    const name = writeString(builder, '')
    const schema = writeSchema(builder, new Schema([...fields]), 'query')
    const filter = writeFilter(builder, fields, where)
    const positions = leafPositions(fields, [...Array(selected).keys()]).map((position) => writeFieldIndex(builder, position))
    const projection = writeOffsets(builder, positions)
    const source = writeTable(builder, 5, () => {
      builder.addFieldOffset(1, name, 0)
      builder.addFieldOffset(3, schema, 0)
      builder.addFieldOffset(2, filter, 0)
      builder.addFieldOffset(4, projection, 0)
    })
    return writeTable(builder, 2, () => {
      builder.addFieldInt8(0, SOURCE, 0)
      builder.addFieldOffset(1, source, 0)
    })
  })

export interface DecodedQuery {
  readonly fields: readonly Field[]
  /** Leaf numbers (`numberNodes`) in the order asked for. */
  readonly projection: readonly number[]
  readonly filter: Expression
}

/** Reads a QueryData body in the form of the Python client. */
export const decodeQueryRequest = (bytes: Uint8Array): DecodedQuery => {
  const relation = rootTable(bytes, 'Relation')
  if (relation.u8(0) !== SOURCE) throw relation.error(0, `expected a Source, found relation kind ${relation.u8(0)}`)
  const source = relation.requiredTable(1, 'Source')
  const filter = source.table(2, 'Expression')
  return {
    fields: source.requiredTable(3, 'Schema').tables(1, 'Field').map(readFieldTable),
    projection: source.tables(4, 'FieldIndex').map((index) => index.u32(0)),
    filter: filter === undefined ? { kind: 'call', name: 'and', operands: [] } : readExpression(filter),
  }
}
