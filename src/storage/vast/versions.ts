import type { Row, TableName } from '../schema.ts'
import { among, pinned } from './column-terms.ts'
import type { RowSource } from './row-source.ts'

/** How many commits touched the table. Marks that were put together count as many as they stand for. */
export const storedVersion = async (source: RowSource, table: TableName): Promise<string> => {
  let commits = 0n
  for await (const rows of source.rows('changes', { columns: ['commits'], where: [pinned('table_name', table)] }))
    for (const row of rows) commits += BigInt(row.commits ?? 0)
  return String(commits)
}

/** Whether the commit with these marks was applied: they came with it. */
export const isApplied = async (source: RowSource, marks: readonly Row<'changes'>[]): Promise<boolean> => {
  const ids = marks.slice(0, 1).map(({ id }) => id)
  return (await source.count('changes', [among('id', ids)])) > 0
}
