import { Decimal, Field, Uint64 } from 'apache-arrow'

/** The column that updates and deletes address rows by. */
export const ROW_ID = '$row_id'

/** `plain`: uint64. `wide`: decimal128(38,0), in tables that are sorted, partitioned or have a vector index. */
export type RowIdKind = 'plain' | 'wide'

/** The field of the row id column, as a query asks for it. */
export const rowIdField = (kind: RowIdKind): Field =>
  kind === 'plain' ? new Field(ROW_ID, new Uint64(), true) : new Field(ROW_ID, new Decimal(0, 38, 128), true)
