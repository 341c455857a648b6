import type { TableName } from '../schema.ts'
import { pinned } from './column-terms.ts'
import type { RowSource } from './row-source.ts'

/** How many commits touched the table. Marks that were put together count as many as they stand for. */
export const storedVersion = async (source: RowSource, table: TableName): Promise<string> => {
  let commits = 0n
  for await (const rows of source.rows('changes', { columns: ['commits'], where: [pinned('table_name', table)] }))
    for (const row of rows) commits += BigInt(row.commits ?? 0)
  return String(commits)
}
