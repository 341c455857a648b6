// Schemas and tables as one immutable value: a transaction keeps the one that it began with, and DDL makes a new one.
import type { Field } from 'apache-arrow'
import { conflict, notFound } from './protocol-error.ts'
import type { RowStore } from './store/row-store.ts'

export interface Column {
  /** Stays the same when the column is renamed. */
  readonly id: number
  readonly field: Field
}

export interface Projection {
  readonly name: string
  readonly handle: number
  readonly properties: string
  readonly columns: readonly { readonly id: number; readonly sorted: boolean }[]
}

export interface TableEntry {
  readonly name: string
  readonly handle: number
  readonly properties: string
  readonly columns: readonly Column[]
  /** Column ids in the order of the key; empty for a table that is not sorted. */
  readonly sortKey: readonly number[]
  readonly projections: readonly Projection[]
  readonly store: RowStore
  /** The companion that records imported files. */
  readonly imports?: TableEntry | undefined
}

export interface SchemaEntry {
  readonly bucket: string
  /** Names of nested schemas joined by `/`. */
  readonly path: string
  readonly handle: number
  readonly properties: string
  readonly tables: ReadonlyMap<string, TableEntry>
}

export class Catalog {
  /** By bucket and path, in order of creation. */
  readonly schemas: ReadonlyMap<string, SchemaEntry>

  constructor(schemas: ReadonlyMap<string, SchemaEntry> = new Map()) {
    this.schemas = schemas
  }

  schema(bucket: string, path: string): SchemaEntry {
    const found = this.schemas.get(`${bucket}/${path}`)
    if (found === undefined) throw notFound(`schema ${bucket}/${path} does not exist`)
    return found
  }

  /** The schemas directly below `parent` (top level: `''`), each with its own name. */
  children(bucket: string, parent: string): { readonly name: string; readonly schema: SchemaEntry }[] {
    const start = parent === '' ? '' : `${parent}/`
    return [...this.schemas.values()].flatMap((schema) => {
      if (schema.bucket !== bucket || !schema.path.startsWith(start)) return []
      const name = schema.path.slice(start.length)
      return name === '' || name.includes('/') ? [] : [{ name, schema }]
    })
  }

  table(bucket: string, path: string, name: string): TableEntry {
    const found = this.schema(bucket, path).tables.get(name)
    if (found === undefined) throw notFound(`table ${bucket}/${path}/${name} does not exist`)
    return found
  }

  addSchema(schema: SchemaEntry): Catalog {
    const { bucket, path } = schema
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')))
    if (parent !== '') this.schema(bucket, parent)
    if (this.schemas.has(`${bucket}/${path}`)) throw conflict(`schema ${bucket}/${path} exists`, 'SchemaAlreadyExists')
    return new Catalog(new Map(this.schemas).set(`${bucket}/${path}`, schema))
  }

  /** Renames a schema together with everything below it. */
  renameSchema(bucket: string, path: string, newPath: string): Catalog {
    this.schema(bucket, path)
    if (newPath !== path && this.schemas.has(`${bucket}/${newPath}`))
      throw conflict(`schema ${bucket}/${newPath} exists`, 'SchemaAlreadyExists')
    const moved = (schema: SchemaEntry): SchemaEntry => {
      const inside = schema.bucket === bucket && (schema.path === path || schema.path.startsWith(`${path}/`))
      return inside ? { ...schema, path: newPath + schema.path.slice(path.length) } : schema
    }
    return new Catalog(new Map([...this.schemas.values()].map(moved).map((schema) => [`${schema.bucket}/${schema.path}`, schema])))
  }

  dropSchema(bucket: string, path: string): Catalog {
    const schema = this.schema(bucket, path)
    if (schema.tables.size > 0 || this.children(bucket, path).length > 0)
      throw conflict(`schema ${bucket}/${path} is not empty`, 'SchemaNotEmpty')
    const schemas = new Map(this.schemas)
    schemas.delete(`${bucket}/${path}`)
    return new Catalog(schemas)
  }

  setSchemaProperties(bucket: string, path: string, properties: string): Catalog {
    return this.#withSchema({ ...this.schema(bucket, path), properties })
  }

  addTable(bucket: string, path: string, table: TableEntry): Catalog {
    const schema = this.schema(bucket, path)
    if (schema.tables.has(table.name)) throw conflict(`table ${bucket}/${path}/${table.name} exists`, 'TableAlreadyExists')
    return this.#withSchema({ ...schema, tables: new Map(schema.tables).set(table.name, table) })
  }

  dropTable(bucket: string, path: string, name: string): Catalog {
    this.table(bucket, path, name)
    const schema = this.schema(bucket, path)
    const tables = new Map(schema.tables)
    tables.delete(name)
    return this.#withSchema({ ...schema, tables })
  }

  /** Puts `change(table)` in the place of a table. */
  changeTable(bucket: string, path: string, name: string, change: (table: TableEntry) => TableEntry): Catalog {
    const schema = this.schema(bucket, path)
    const changed = change(this.table(bucket, path, name))
    return this.#withSchema({ ...schema, tables: new Map(schema.tables).set(name, changed) })
  }

  moveTable(bucket: string, path: string, name: string, newPath: string, newName: string): Catalog {
    const table = this.table(bucket, path, name)
    return this.dropTable(bucket, path, name).addTable(bucket, newPath, { ...table, name: newName })
  }

  tables(): TableEntry[] {
    return [...this.schemas.values()].flatMap((schema) =>
      [...schema.tables.values()].flatMap((table) => [table, ...(table.imports ? [table.imports] : [])]),
    )
  }

  #withSchema(schema: SchemaEntry): Catalog {
    return new Catalog(new Map(this.schemas).set(`${schema.bucket}/${schema.path}`, schema))
  }
}
