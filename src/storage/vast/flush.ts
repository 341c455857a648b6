import type { Field } from 'apache-arrow'
import { batchOfRows, Conflict, type Table as Handle, type Transaction, type Value } from '../../vastdb/index.ts'
import type { Row, TableName } from '../schema.ts'
import type { Change, ChangeBuffer } from './change-buffer.ts'
import type { LockRow } from './lock-rows.ts'
import { nextTurn } from './next-turn.ts'
import { commitIds } from './stamps.ts'

export interface FlushInput {
  readonly transaction: Transaction
  readonly handleOf: (table: TableName) => Handle
  readonly changes: ChangeBuffer
  /** Rows that make this commit collide with others under the same locks. */
  readonly locks: readonly LockRow[]
  readonly stamp: bigint
  readonly nowUs: bigint
}

type Cells = Readonly<Record<string, Value>>

/**
 * Sends the changes of a batch into its transaction: per table one insert, one update for each set of columns, one delete; the lock rows, the log's
 * rows, and a mark in `changes` for each table that was touched. All at once: they concern different rows. Gives the marks, by each of
 * which the commit can be found again.
 */
export const flush = async (input: FlushInput): Promise<readonly Row<'changes'>[]> => {
  const { transaction, handleOf, changes, locks, stamp, nowUs } = input
  const idAt = commitIds(stamp)
  // What changes no version needs a mark all the same.
  const touched: readonly TableName[] = changes.touched.size > 0 ? [...changes.touched] : ['changes']
  const marks = touched.map((name, i): Row<'changes'> => ({ id: idAt(i), table_name: name, time: nowUs, commits: 1n }))
  const entries = changes.log.map((entry, i) => ({ ...entry, id: idAt(i) }))

  const requests: Promise<unknown>[] = []
  // It leaves before the next one is encoded.
  const send = async (request: Promise<unknown>): Promise<void> => {
    request.catch(() => undefined)
    requests.push(request)
    await nextTurn()
  }
  // Rows are checked when they enter a buffer.
  const insert = async (name: TableName, rows: readonly object[]): Promise<void> => {
    if (rows.length === 0) return
    const handle = handleOf(name)
    const cells = rows as readonly Cells[]
    await send(transaction.insert(handle, batchOfRows(fieldsOf(handle, filled(handle, cells)), cells)))
  }
  await insert('changes', marks)
  await insert('outbox', entries)
  if (locks.length > 0) {
    const version = fieldsOf(handleOf('locks'), ['version'])
    const rows = locks.map(() => ({ version: stamp }))
    const ids = locks.map(({ rowId }) => rowId)
    await send(transaction.update(handleOf('locks'), ids, batchOfRows(version, rows)))
  }
  for (const [name, rows] of changes.tables()) {
    const { inserted, updated, deleted } = sorted(rows.values())
    const handle = handleOf(name)
    await insert(name, inserted)
    for (const { columns, ids, cells } of updated)
      await send(transaction.update(handle, ids, batchOfRows(fieldsOf(handle, columns), cells)))
    if (deleted.length > 0) await send(transaction.delete(handle, deleted))
  }
  await allSettled(requests)
  return marks
}

interface Updates {
  readonly columns: readonly string[]
  readonly ids: bigint[]
  readonly cells: Cells[]
}

const sorted = (changes: Iterable<Change>) => {
  const inserted: Cells[] = []
  const deleted: bigint[] = []
  const updated = new Map<string, Updates>()
  for (const { rowId, row, columns } of changes) {
    if (rowId === undefined) {
      if (row) inserted.push(row)
    } else if (!row) deleted.push(rowId)
    else if (columns.size > 0) {
      const names = [...columns].sort()
      const updates = updated.getOrInsertComputed(names.join(), () => ({ columns: names, ids: [], cells: [] }))
      updates.ids.push(rowId)
      updates.cells.push(row)
    }
  }
  return { inserted, deleted, updated: updated.values() }
}

/** Columns that hold something: those that an insert leaves out become null. */
const filled = ({ fields }: Handle, rows: readonly Cells[]): readonly string[] =>
  fields.flatMap(({ name }) => (rows.some((row) => (row[name] ?? null) !== null) ? name : []))

/** The lists of fields that were asked for, by table: what is sent with the same list again is encoded in less time. */
const fieldLists = new WeakMap<Handle, Map<string, readonly Field[]>>()

const fieldsOf = (handle: Handle, columns: readonly string[]): readonly Field[] =>
  fieldLists
    .getOrInsertComputed(handle, () => new Map())
    .getOrInsertComputed(columns.join(), () => handle.fields.filter((field) => columns.includes(field.name)))

/** Waits for all, so that no request is under way when the transaction is rolled back; a conflict is the failure that says most. */
const allSettled = async (requests: readonly Promise<unknown>[]): Promise<void> => {
  const results = await Promise.allSettled(requests)
  const failures = results.flatMap((result): unknown[] => (result.status === 'rejected' ? [result.reason] : []))
  if (failures.length > 0) throw failures.find((failure) => failure instanceof Conflict) ?? failures[0]
}
