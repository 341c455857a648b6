export { type OpenSqliteOptions, openSqliteTables, type SqliteTables } from './sqlite-tables.ts'
