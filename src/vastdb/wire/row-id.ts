import { Decimal, Field, Uint64 } from 'apache-arrow'

/** The column that updates and deletes address rows by. */
export const ROW_ID = '$row_id'

/** `plain`: uint64. `wide`: decimal128(38,0), in tables that are sorted, partitioned or have a vector index. */
export type RowIdKind = 'plain' | 'wide'

const FIELDS = { plain: [new Field(ROW_ID, new Uint64(), true)], wide: [new Field(ROW_ID, new Decimal(0, 38, 128), true)] } as const

/** The field of the row id column, as a query asks for it. */
export const rowIdField = (kind: RowIdKind): Field => FIELDS[kind][0]

/** That field alone; the same list each time. */
export const onlyRowId = (kind: RowIdKind): readonly Field[] => FIELDS[kind]
