import { pages, run, type Scope } from './scope.ts'
import { encodeProperties } from './wire/control.ts'
import { decodeList, type ObjectDetails } from './wire/listing.ts'

const PAGE = 1000

export const createSchema = async (scope: Scope, schema: string, properties = ''): Promise<void> => {
  await run(scope, { method: 'POST', schema, command: 'schema', body: encodeProperties(properties) })
}

/** Renames; `newName` is the full new path. */
export const renameSchema = async (scope: Scope, schema: string, newName: string): Promise<void> => {
  await run(scope, { method: 'PUT', schema, command: 'schema', params: { 'tabular-new-schema-name': newName }, body: encodeProperties() })
}

/** A schema that still holds something: `Conflict`. */
export const dropSchema = async (scope: Scope, schema: string): Promise<void> => {
  await run(scope, { method: 'DELETE', schema, command: 'schema' })
}

/** The schemas at the top of the bucket, or inside `parent`. Names are those of the children, not paths. */
export const listSchemas = async (
  scope: Scope,
  { parent, prefix, exact }: { readonly parent?: string; readonly prefix?: string; readonly exact?: string } = {},
): Promise<ObjectDetails[]> => {
  const found: ObjectDetails[] = []
  const request = { maxKeys: exact === undefined ? PAGE : 1, exact, prefix }
  for await (const page of pages(scope, { method: 'GET', schema: parent, command: 'schema' }, request, (body) =>
    decodeList('schemas', body),
  ))
    found.push(...page.entries)
  return found
}

/** The schema with this path, or `undefined`. */
export const findSchema = async (scope: Scope, schema: string): Promise<ObjectDetails | undefined> => {
  const cut = schema.lastIndexOf('/')
  const exact = schema.slice(cut + 1)
  const [found] = await listSchemas(scope, { ...(cut < 0 ? {} : { parent: schema.slice(0, cut) }), exact })
  return found?.name === exact ? found : undefined
}
