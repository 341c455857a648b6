export { copySqlite, inspectSqlite } from './copy.ts'
export { lookIntoSqlite } from './inspect.ts'
export { type OpenSqliteOptions, openSqliteTables, type SqliteTables } from './sqlite-tables.ts'
