import type { Scalar } from '../../core/predicate.ts'
import type { TableName } from '../schema.ts'
import { tableFacts } from '../table-facts.ts'
import type { ChangeBuffer } from './change-buffer.ts'
import { firstCell } from './row-keys.ts'

/** Tables whose rows are remembered from one read to the next. */
export const REMEMBERED: ReadonlySet<TableName> = new Set<TableName>(['flows', 'objects'])

/**
 * These, and `segments`, which are read without a transaction. Both rest on this: whoever changes such a row updates the lock row of the lock that
 * `../schema.ts` demands of an insert, whatever locks the work itself took.
 */
const GUARDED = REMEMBERED.union(new Set<TableName>(['segments']))

/** The lock of the rows whose key begins with this value. */
export const guardOf = (table: TableName, first: Scalar): string => {
  const { key, lock } = tableFacts(table)
  const name = lock?.({ [key[0] ?? '']: first })
  if (name === undefined) throw new Error(`rows of ${table} have no lock`)
  return name
}

/** The locks of all guarded rows that are changed. */
export const guardsOf = (changes: ChangeBuffer): ReadonlySet<string> => {
  const guards = new Set<string>()
  for (const [table, rows] of changes.tables())
    if (GUARDED.has(table))
      for (const text of rows.keys()) {
        const cell = firstCell(text)
        guards.add(guardOf(table, cell.slice(cell.indexOf(':') + 1)))
      }
  return guards
}
