import { type Field, Schema } from 'apache-arrow'
import { run, type Scope } from './scope.ts'
import type { TableName } from './tables.ts'
import { encodeAlterColumn } from './wire/control.ts'
import { encodeSchemaMessage } from './wire/ipc.ts'

/** Adds columns; rows that exist read as null in them. */
export const addColumns = async (scope: Scope, { schema, table }: TableName, fields: readonly Field[]): Promise<void> => {
  await run(scope, { method: 'POST', schema, table, command: 'column', body: encodeSchemaMessage(new Schema([...fields])) })
}

export const dropColumns = async (scope: Scope, { schema, table }: TableName, fields: readonly Field[]): Promise<void> => {
  await run(scope, { method: 'DELETE', schema, table, command: 'column', body: encodeSchemaMessage(new Schema([...fields])) })
}

/** Renames a column; a member of a struct is named `column.member`. */
export const renameColumn = async (scope: Scope, { schema, table }: TableName, name: string, newName: string): Promise<void> => {
  const params = { 'tabular-column-name': name, 'tabular-new-column-name': newName }
  await run(scope, {
    method: 'PUT',
    schema,
    table,
    command: 'column',
    params,
    headers: { 'tabular-column-sep': '.' },
    body: encodeAlterColumn(),
  })
}
