import type { RecordBatch } from 'apache-arrow'
import type { Scalar, Value } from '../../core/predicate.ts'
import {
  anyOf,
  between,
  columnValues,
  type Database,
  eq,
  type Filter,
  ge,
  gt,
  isNull,
  isValid,
  le,
  lt,
  ne,
  oneOf,
  ROW_ID as WIRE_ROW_ID,
} from '../../vastdb/index.ts'
import type { TableName } from '../schema.ts'
import { tableFacts } from '../table-facts.ts'
import { among, bytesOf, pinned } from './column-terms.ts'
import { isList } from './compile-predicate.ts'
import type { VastEngine } from './engine.ts'
import { type ColumnTerm, type Condition, ROW_ID, type RowQuery, type RowSource, type SourceRow } from './row-source.ts'
import { ONE_SHARE } from './shares.ts'

/** Rows of the cluster, seen through a transaction (one state) or through none (each request the state of its moment). */
export class SnapshotSource implements RowSource {
  /** @param database May still be on its way: a transaction that is being begun. */
  constructor(
    private readonly engine: VastEngine,
    private readonly database: Database | Promise<Database>,
  ) {}

  async *rows(table: TableName, query: RowQuery): AsyncGenerator<readonly SourceRow[]> {
    const columns = query.rowIds ? [...query.columns, WIRE_ROW_ID] : query.columns
    for await (const batch of this.#select(table, { ...query, columns })) yield rowsOf(batch)
  }

  batches(table: TableName, query: RowQuery): AsyncGenerator<RecordBatch> {
    return this.#select(table, query)
  }

  // No limit: reaching one cuts the connection, and a key is there once at most.
  async find(table: TableName, key: readonly Scalar[]): Promise<SourceRow | undefined> {
    const facts = tableFacts(table)
    const where = facts.key.map((column, i) => pinned(column, key[i] as Scalar))
    let found: SourceRow | undefined
    for await (const rows of this.rows(table, { columns: facts.columnNames, where })) found ??= rows[0]
    return found
  }

  async count(table: TableName, where: readonly ColumnTerm[], atMost?: number): Promise<number> {
    let count = 0
    const limit = atMost === undefined ? {} : { limit: atMost }
    for await (const batch of this.#select(table, { columns: [], where, ...limit, large: atMost === undefined })) count += batch.numRows
    return count
  }

  async *#select(table: TableName, query: RowQuery): AsyncGenerator<RecordBatch> {
    query.signal?.throwIfAborted()
    const { columns, limit, signal, large } = query
    const { client } = this.engine
    const handle = this.engine.handle(table)
    // A limit counts for each sub-split, and each sub-split answers with every column, also without a row: a look-up in `flows` costs a quarter with one.
    const shares = large && limit === undefined ? await this.engine.shares(await this.database, table) : ONE_SHARE
    let left = limit
    for (const where of requestsOf(query.where)) {
      const prepared = client.prepare(handle, { columns, where: where.map(filterOf), limit: left, signal, ...shares })
      const database = await this.database
      for await (const batch of database.selectPrepared(prepared)) {
        if (left !== undefined) left -= batch.numRows
        yield batch
      }
      if (left === 0) return
    }
  }
}

/** Bytes of one list; a request may hold 4.5 MiB. */
const LIST_BYTES = 1024 * 1024

/** A list that is too long for one request becomes several; a row passes one of them at most. A list of nothing needs none. */
function* requestsOf(where: readonly ColumnTerm[]): Generator<readonly ColumnTerm[]> {
  const long = where.findIndex((term) => isList(term) && listBytes(term) > LIST_BYTES)
  const list = where[long]
  const [condition] = list?.anyOf ?? []
  if (list === undefined || condition?.kind !== 'in') {
    if (!where.some(isEmpty)) yield where
    return
  }
  let values: Scalar[] = []
  let bytes = 0
  for (const value of condition.values) {
    if (bytes > 0 && bytes + bytesOf(value) > LIST_BYTES) {
      yield where.with(long, among(list.column, values))
      values = []
      bytes = 0
    }
    values.push(value)
    bytes += bytesOf(value)
  }
  yield where.with(long, among(list.column, values))
}

const listBytes = ({ anyOf: [condition] }: ColumnTerm): number =>
  condition?.kind === 'in' ? condition.values.reduce<number>((sum, value) => sum + bytesOf(value), 0) : 0

const isEmpty = (term: ColumnTerm): boolean => term.anyOf.every((condition) => condition.kind === 'in' && condition.values.length === 0)

const COMPARE = { '=': eq, '!=': ne, '<': lt, '<=': le, '>': gt, '>=': ge } as const

const filterOf = ({ column, anyOf: conditions }: ColumnTerm): Filter => anyOf(...conditions.map((condition) => filter(column, condition)))

const filter = (column: string, condition: Condition): Filter => {
  switch (condition.kind) {
    case 'compare':
      return COMPARE[condition.op](column, condition.value)
    case 'in':
      return oneOf(column, condition.values)
    case 'between':
      return between(column, condition.from, condition.to)
    case 'null':
      return isNull(column)
    case 'valid':
      return isValid(column)
    default:
      throw new Error(`unhandled ${condition satisfies never}`)
  }
}

const rowsOf = (batch: RecordBatch): readonly SourceRow[] => {
  const names = batch.schema.fields.map(({ name }) => name)
  const cells = batch.data.children.map(columnValues)
  const rows: SourceRow[] = []
  for (let i = 0; i < batch.numRows; i++) {
    const row: { [column: string]: Value; [ROW_ID]?: bigint } = {}
    for (let c = 0; c < names.length; c++) {
      const value = cells[c]?.[i] as Value
      if (names[c] === WIRE_ROW_ID) row[ROW_ID] = value as bigint
      else row[names[c] as string] = value
    }
    rows.push(row)
  }
  return rows
}
