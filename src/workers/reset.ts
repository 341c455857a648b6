import { TamsError } from '../core/errors.ts'
import { and, compare, eq, everything, type Predicate, type Scalar } from '../core/predicate.ts'
import type { MediaBackend } from '../domain/storage-backend.ts'
import { tables as schema, type Table, type TableName } from '../storage/schema.ts'
import type { Tables } from '../storage/tables.ts'

/** The ids of backends and the version of the schema stay, and what the engines and the leases count on. */
const KEPT: readonly TableName[] = ['meta', 'locks', 'changes', 'leases', 'storage_backends']
/** Rows of `meta` that say what the store is, not what is in it. */
const DROPPED_META = ['service']

export interface ResetDeps {
  readonly tables: Tables
  readonly backends: readonly MediaBackend[]
  /** How the keys of this program begin. */
  readonly storagePath: string
}

export interface Contents {
  /** Rows by table, without those that have none. */
  readonly rows: ReadonlyMap<string, number>
  readonly media: readonly { readonly backend: string; readonly objects: number; readonly bytes: number }[]
}

export const emptied = (): TableName[] => (Object.keys(schema) as TableName[]).filter((name) => !KEPT.includes(name))

/** Throws `conflict` while somebody holds a lease: for stores that many processes serve. A lease lasts 30 s. */
export const refuseServed = async (tables: Tables, nowUs: bigint): Promise<void> => {
  const { rows } = await tables.read((tx) => tx.list('leases', { where: compare('expires', '>', nowUs), limit: 1 }))
  const [held] = rows
  if (held)
    throw new TamsError(
      'conflict',
      `A service is using the store (${held.holder} has the lease ${held.name}): stop it, and wait half a minute`,
    )
}

/** What a reset would take. */
export const contentsOf = async ({ tables, backends, storagePath }: ResetDeps): Promise<Contents> => {
  const rows = new Map<string, number>()
  for (const name of emptied()) {
    const count = await tables.read((tx) => tx.count(name, everything))
    if (count > 0) rows.set(name, count)
  }
  const media: { backend: string; objects: number; bytes: number }[] = []
  for (const { info, store } of backends) {
    let [objects, bytes] = [0, 0]
    for await (const { key, size } of store.list({})) {
      if (!key.startsWith(`${storagePath}/`)) continue
      objects++
      bytes += size
    }
    media.push({ backend: info.label ?? info.id, objects, bytes })
  }
  return { rows, media }
}

const BATCH = 500

/**
 * Takes all bytes, then all rows, in batches: broken off, it goes on. Bytes go first, so that nothing is left that no row knows of. What
 * is in a backend beside the keys of this program stays.
 */
export const reset = async (deps: ResetDeps, onStep: (what: string) => void = () => {}): Promise<void> => {
  for (const { info, store } of deps.backends) {
    onStep(`media of ${info.label ?? info.id}`)
    let keys: string[] = []
    for await (const { key } of store.list({})) {
      if (key.startsWith(`${deps.storagePath}/`)) keys.push(key)
      if (keys.length === BATCH) await store.delete(keys.splice(0))
    }
    if (keys.length > 0) await store.delete(keys)
    keys = []
  }
  for (const name of emptied()) {
    onStep(name)
    while (await emptySome(deps.tables, name)) await Promise.resolve()
  }
  await deps.tables.write(async (tx) => {
    for (const name of DROPPED_META) await tx.delete('meta', eq('name', name))
  })
}

const ROWS = 5000

/** True when there may be more. */
const emptySome = (tables: Tables, name: TableName): Promise<boolean> =>
  tables.write(async (tx) => {
    const { key }: Table = schema[name]
    const { rows, after } = await tx.list(name, { where: everything, limit: ROWS })
    const last = rows.at(-1) as Readonly<Record<string, Scalar>> | undefined
    if (last) for (const where of upTo(key, last)) await tx.delete(name, where)
    return last !== undefined || after !== undefined
  })

/** Everything up to a row in the order of the key, as conditions that each name one stretch of it. */
const upTo = (key: readonly string[], row: Readonly<Record<string, Scalar>>): Predicate[] =>
  key.map((column, index) => {
    const before = key.slice(0, index).map((name) => eq(name, row[name] ?? ''))
    return and(...before, compare(column, index === key.length - 1 ? '<=' : '<', row[column] ?? ''))
  })
