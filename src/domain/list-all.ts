import type { Value } from '../core/predicate.ts'
import type { ColumnName, Row, TableName } from '../storage/schema.ts'
import type { ListQuery, ReadTx } from '../storage/tables.ts'

type Query<N extends TableName> = Omit<ListQuery<N>, 'after'>

/** The first `limit` rows of a query, whatever the pages in which they come: a page may be shorter than its limit. */
export function listAll<N extends TableName, C extends ColumnName<N>>(
  tx: ReadTx,
  table: N,
  query: Query<N> & { readonly columns: readonly C[] },
): Promise<Pick<Row<N>, C>[]>
export function listAll<N extends TableName>(tx: ReadTx, table: N, query: Query<N>): Promise<Row<N>[]>
export async function listAll<N extends TableName>(tx: ReadTx, table: N, query: Query<N>): Promise<Row<N>[]> {
  const rows: Row<N>[] = []
  for (let after: readonly Value[] | undefined; ; ) {
    const page = await tx.list(table, { ...query, limit: query.limit - rows.length, ...(after && { after }) })
    rows.push(...page.rows)
    if (!page.after || rows.length >= query.limit) return rows
    after = page.after
  }
}
