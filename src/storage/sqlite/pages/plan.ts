import type { Connection } from '../connection.ts'
import type { PagePlan, ScanSpec } from '../scan-protocol.ts'
import { type PageImages, PageReader } from './images.ts'
import { EMPTY_TEXT_TYPE, NULL_TYPE, ZERO_TYPE } from './record.ts'
import { partsOf } from './tree.ts'

// Enough for several workers to end together although parts differ in size.
const PARTS = 64

/** A column as rows hold it, at its place. */
export interface StoredColumn {
  readonly name: string
  /** Serial type of its value in rows from before it was added. */
  readonly absent: number
}

/** How a scan of all rows of a table goes through its pages; undefined where it has few, or is none that this program can read. */
export const planPages = (connection: Connection, spec: ScanSpec, images: PageImages): PagePlan | undefined => {
  const stored = storedColumns(connection, spec.table)
  if (!stored || !spec.tested) return undefined
  const named = new Set([...spec.columns.map(({ name }) => name), ...spec.tested])
  const columns = stored.slice(0, stored.findLastIndex(({ name }) => named.has(name)) + 1)
  const root = connection.integer("select rootpage from sqlite_schema where type = 'table' and name = ?", [spec.table])
  const parts = partsOf(new PageReader(images), root, PARTS)
  return parts.length > 1 ? { kind: 'pages', commit: images.commit, columns, parts } : undefined
}

// The key first, then the others as they were declared: https://www.sqlite.org/withoutrowid.html
const storedColumns = (connection: Connection, table: string): readonly StoredColumn[] | undefined => {
  const encoding = connection.rows('pragma encoding')[0]?.encoding
  const [kind] = connection.rows("select wr from pragma_table_list where schema = 'main' and name = ?", [table])
  const declared = connection.rows('select cid, dflt_value, hidden from pragma_table_xinfo(?)', [table])
  if (encoding !== 'UTF-8' || kind?.wr !== 1n || declared.some(({ hidden }) => hidden !== 0n)) return undefined
  const stored = connection.rows('select name, cid, coll from pragma_index_xinfo(?) order by seqno', [table])
  const columns = stored.map(({ name, cid, coll }) => {
    const absent = ABSENT[String(declared.find((column) => column.cid === cid)?.dflt_value ?? null)]
    return coll === 'BINARY' && absent !== undefined ? { name: String(name), absent } : undefined
  })
  return columns.every((column) => column !== undefined) && columns.length === declared.length ? columns : undefined
}

// By the default of the declaration.
const ABSENT: Readonly<Record<string, number>> = { null: NULL_TYPE, "''": EMPTY_TEXT_TYPE, '0': ZERO_TYPE }
