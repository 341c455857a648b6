import { and, compare, type Predicate, type Value } from '../../core/predicate.ts'
import type { ColumnName, Row, TableName } from '../../storage/schema.ts'
import type { ListQuery, ReadTx, Tables } from '../../storage/tables.ts'
import { listAll } from '../list-all.ts'
import type { Finding } from './finding.ts'

const PAGE = 1000
const MANY = 1_000_000

type Query<N extends TableName> = Omit<ListQuery<N>, 'after' | 'limit'>

/** All rows of a query in its order, a page in memory. */
export function walk<N extends TableName, C extends ColumnName<N>>(
  tx: ReadTx,
  table: N,
  query: Query<N> & { readonly columns: readonly C[] },
): AsyncGenerator<Pick<Row<N>, C>>
export function walk<N extends TableName>(tx: ReadTx, table: N, query: Query<N>): AsyncGenerator<Row<N>>
export async function* walk<N extends TableName>(tx: ReadTx, table: N, query: Query<N>): AsyncGenerator<Row<N>> {
  for (let after: readonly Value[] | undefined; ; ) {
    const page = await tx.list(table, { ...query, limit: PAGE, ...(after && { after }) })
    yield* page.rows
    if (!page.after) return
    after = page.after
  }
}

/** A stretch of ids: behind `above`, up to and with `upTo`; absent bounds are open. */
export interface Window {
  readonly above?: string
  readonly upTo?: string
}

export const within = (column: string, { above, upTo }: Window): Predicate =>
  and(...(above === undefined ? [] : [compare(column, '>', above)]), ...(upTo === undefined ? [] : [compare(column, '<=', upTo)]))

/** Tables whose key begins with this column. */
type Keyed = 'flows' | 'sources' | 'objects' | 'webhooks' | 'deletions'

export interface Windowed<N extends Keyed> {
  readonly table: N
  readonly where?: Predicate
  /** Rows of one window, about. */
  readonly size: number
}

/**
 * A table in windows of ids. Each is looked at in one snapshot, with everything of other tables that belongs to ids of the window: a
 * service that writes meanwhile makes no finding. Together the windows cover all ids, also those that the table does not have.
 */
export async function* inWindows<N extends Keyed>(
  tables: Tables,
  { table, where, size }: Windowed<N>,
  look: (tx: ReadTx, rows: readonly Row<N>[], window: Window) => Promise<readonly Finding[]>,
): AsyncGenerator<Finding> {
  for (let above: string | undefined; ; ) {
    const from = above
    const { findings, upTo } = await tables.read(async (tx) => {
      const all = and(within('id', from === undefined ? {} : { above: from }), ...(where ? [where] : []))
      const found = await listAll(tx, table, { where: all, limit: size + 1 })
      const [last, next] = [found[size - 1]?.id, found[size]?.id]
      const upTo = next === undefined ? undefined : last
      // Rows of one id, live and in the trash, stay together.
      const whole = next === undefined ? found : next === last ? undefined : found.slice(0, size)
      const rows = whole ?? (await listAll(tx, table, { where: and(all, compare('id', '<=', last ?? '')), limit: MANY }))
      const window = { ...(from !== undefined && { above: from }), ...(upTo !== undefined && { upTo }) }
      return { findings: await look(tx, rows, window), upTo }
    })
    yield* findings
    if (upTo === undefined) return
    above = upTo
  }
}
