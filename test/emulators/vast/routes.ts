// The operations of the protocol by method and command (vast-protocol section 2.1).
import type { Handler } from './exchange.ts'
import { headBucket, listBuckets, listSnapshots } from './handlers/buckets.ts'
import { addColumns, alterColumn, dropColumns, listColumns, listSortedColumns } from './handlers/columns.ts'
import {
  alterProjection,
  createProjection,
  dropProjection,
  listProjections,
  projectionColumns,
  projectionStats,
} from './handlers/projections.ts'
import { queryData } from './handlers/query.ts'
import { deleteRows, importData, insertRows, updateRows } from './handlers/rows.ts'
import { alterSchema, createSchema, dropSchema, listSchemas } from './handlers/schemas.ts'
import { alterTable, createTable, dropTable, listTables, tableStats } from './handlers/tables.ts'
import { notEmulated, ProtocolError } from './protocol-error.ts'

const HANDLERS: Readonly<Record<string, Handler>> = {
  'POST schema': createSchema,
  'PUT schema': alterSchema,
  'DELETE schema': dropSchema,
  'GET schema': listSchemas,
  'POST table': createTable,
  'PUT table': alterTable,
  'DELETE table': dropTable,
  'GET table': listTables,
  'GET stats': tableStats,
  'GET column': listColumns,
  'GET columns': listColumns,
  'GET sorted-columns': listSortedColumns,
  'POST column': addColumns,
  'PUT column': alterColumn,
  'PUT columns': alterColumn,
  'DELETE column': dropColumns,
  'POST projection': createProjection,
  'PUT projection': alterProjection,
  'DELETE projection': dropProjection,
  'GET projection': listProjections,
  'GET projection-stats': projectionStats,
  'GET projection-columns': projectionColumns,
  'POST rows': insertRows,
  'PUT rows': updateRows,
  'DELETE rows': deleteRows,
  'GET data': queryData,
  'POST data': importData,
}

const NOT_EMULATED: readonly string[] = [
  'view',
  'blob-expansion',
  'schedule',
  'row-column-security',
  'partitions',
  'vastdb-run-query',
  'vastdb-query-status',
  'vastdb-data',
]

/** What answers a request; `?transaction` is the server's own. */
export const handlerFor = (method: string, command: string | undefined, bucket: string | undefined): Handler => {
  if (command === undefined && method === 'HEAD') return headBucket
  if (command === undefined && method === 'GET') return bucket === undefined ? listBuckets : listSnapshots
  const handler = HANDLERS[`${method} ${command}`]
  if (handler !== undefined) return handler
  if (command !== undefined && NOT_EMULATED.includes(command)) throw notEmulated(`?${command}`)
  throw new ProtocolError(405, 'MethodNotAllowed', `${method} ?${command ?? ''} is no operation`)
}
