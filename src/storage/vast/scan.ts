import { type Data, DataType, Dictionary, Field, Int32, makeData, type RecordBatch, Utf8, Vector } from 'apache-arrow'
import { batchOf, batchOfData, columnValues, dataOf } from '../../vastdb/index.ts'
import { type Table, tables } from '../schema.ts'
import type { TableFacts } from '../table-facts.ts'
import type { ScanQuery } from '../tables.ts'
import { columnsOf, compile, split } from './compile-predicate.ts'
import { keepAll } from './evaluate.ts'
import type { RowSource } from './row-source.ts'

/** Batches of a source that gives none, or of a condition that the wire cannot say, are made of this many rows at most. */
const BATCH_ROWS = 16_384

/** `ReadTx.scan`: text columns become dictionaries, one for each batch. */
export async function* scanBatches(source: RowSource, facts: TableFacts, query: ScanQuery<never>): AsyncGenerator<RecordBatch> {
  const columns: readonly string[] = query.columns
  const fields = columns.map((column) => fieldOf(facts, column))
  const { terms, rest, never } = split(facts, compile(facts, query.where))
  if (never) return
  const request = { where: terms, large: true, signal: query.signal }
  if (rest.length === 0 && source.batches) {
    for await (const batch of source.batches(facts.name, { ...request, columns })) yield encoded(fields, batch)
    return
  }
  for await (const chunk of source.rows(facts.name, { ...request, columns: [...new Set([...columns, ...rest.flatMap(columnsOf)])] }))
    for (let at = 0; at < chunk.length; at += BATCH_ROWS) {
      const rows = await keepAll(source, rest, chunk.slice(at, at + BATCH_ROWS))
      if (rows.length === 0) continue
      const cells = columns.map((column) => rows.map((row) => row[column] ?? null))
      yield encoded(fields, batchOf(fields, cells, rows.length))
    }
}

const fieldOf = (facts: TableFacts, column: string): Field => {
  const definition = (tables[facts.name] as Table).columns[column]
  if (!definition) throw new Error(`table ${facts.name} has no column ${column}`)
  return new Field(column, definition.arrow, definition.nullable)
}

const encoded = (fields: readonly Field[], batch: RecordBatch): RecordBatch => {
  const columns = batch.data.children.map((data, i) => (DataType.isUtf8(data.type) ? dictionaryOf(data, i) : data))
  return batchOfData(
    columns.map(({ type }, i) => new Field(fields[i]?.name ?? '', type, fields[i]?.nullable ?? true)),
    columns,
    batch.numRows,
  )
}

const dictionaryOf = (data: Data, id: number): Data => {
  const codes = new Map<string, number>()
  const indexes = columnValues(data).map((text) => {
    if (typeof text !== 'string') return null
    let code = codes.get(text)
    if (code === undefined) {
      code = codes.size
      codes.set(text, code)
    }
    return code
  })
  const { length, nullCount, nullBitmap, values } = dataOf(new Int32(), indexes) as Data<Int32>
  const dictionary = new Vector([dataOf(new Utf8(), [...codes.keys()]) as Data<Utf8>])
  const type = new Dictionary<Utf8, Int32>(new Utf8(), new Int32(), id)
  return makeData({ type, length, nullCount, nullBitmap: nullBitmap ?? null, data: values, dictionary })
}
