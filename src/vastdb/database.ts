import type { Field, RecordBatch } from 'apache-arrow'
import * as columns from './columns.ts'
import { NotSupportedCommand } from './errors.ts'
import * as projections from './projections.ts'
import * as queries from './query.ts'
import * as rows from './rows.ts'
import * as schemas from './schemas.ts'
import type { Scope } from './scope.ts'
import * as tables from './tables.ts'
import type { ObjectDetails } from './wire/listing.ts'
import type { ProjectionStats, TableStats } from './wire/stats.ts'

/** Every operation on schemas, tables and rows. Inside a transaction (`Transaction`) they count together; outside each request stands alone. */
export class Database {
  /** For functions of this library that are not methods here. */
  readonly scope: Scope

  constructor(scope: Scope) {
    this.scope = scope
  }

  createSchema(schema: string, properties = ''): Promise<void> {
    return schemas.createSchema(this.scope, schema, properties)
  }
  renameSchema(schema: string, newName: string): Promise<void> {
    return schemas.renameSchema(this.scope, schema, newName)
  }
  /** A schema that still holds something: `Conflict`. */
  dropSchema(schema: string): Promise<void> {
    return schemas.dropSchema(this.scope, schema)
  }
  listSchemas(options?: Parameters<typeof schemas.listSchemas>[1]): Promise<ObjectDetails[]> {
    return schemas.listSchemas(this.scope, options)
  }
  findSchema(schema: string): Promise<ObjectDetails | undefined> {
    return schemas.findSchema(this.scope, schema)
  }

  createTable(name: tables.TableName, fields: readonly Field[], options?: tables.CreateTable): Promise<tables.Table> {
    return tables.createTable(this.scope, name, fields, options)
  }
  /** Looks a table up; a missing one: `NotFound`. What comes back can be kept and used in other transactions. */
  table(name: tables.TableName): Promise<tables.Table> {
    return tables.openTable(this.scope, name)
  }
  listTables(schema: string, options?: Parameters<typeof tables.listTables>[2]): Promise<ObjectDetails[]> {
    return tables.listTables(this.scope, schema, options)
  }
  sortTable(table: tables.Table, sortedColumns: readonly string[]): Promise<void> {
    return tables.sortTable(this.scope, table, sortedColumns)
  }
  renameTable(name: tables.TableName, to: tables.TableName): Promise<void> {
    return tables.renameTable(this.scope, name, to)
  }
  dropTable(name: tables.TableName): Promise<void> {
    return tables.dropTable(this.scope, name)
  }
  stats(name: tables.TableName): Promise<TableStats> {
    return tables.tableStats(this.scope, name)
  }

  addColumns(name: tables.TableName, fields: readonly Field[]): Promise<void> {
    return columns.addColumns(this.scope, name, fields)
  }
  dropColumns(name: tables.TableName, fields: readonly Field[]): Promise<void> {
    return columns.dropColumns(this.scope, name, fields)
  }
  renameColumn(name: tables.TableName, column: string, newName: string): Promise<void> {
    return columns.renameColumn(this.scope, name, column, newName)
  }

  createProjection(table: tables.TableName, name: string, chosen: projections.ProjectionColumns): Promise<void> {
    return projections.createProjection(this.scope, table, name, chosen)
  }
  listProjections(table: tables.TableName, options?: Parameters<typeof projections.listProjections>[2]): Promise<ObjectDetails[]> {
    return projections.listProjections(this.scope, table, options)
  }
  projectionStats(table: tables.TableName, name: string): Promise<ProjectionStats> {
    return projections.projectionStats(this.scope, table, name)
  }
  projectionColumns(table: tables.TableName, name: string): Promise<Field[]> {
    return projections.projectionColumns(this.scope, table, name)
  }
  renameProjection(table: tables.TableName, name: string, newName: string): Promise<void> {
    return projections.renameProjection(this.scope, table, name, newName)
  }
  dropProjection(table: tables.TableName, name: string): Promise<void> {
    return projections.dropProjection(this.scope, table, name)
  }

  /** Adds rows and gives their ids, in order. */
  insert(table: tables.Table, batch: RecordBatch, signal?: AbortSignal): Promise<bigint[]> {
    return rows.insertRows(this.scope, table, batch, signal)
  }
  /** Sets the columns of `values` in the rows `ids`. */
  update(table: tables.Table, ids: readonly bigint[], values: RecordBatch, signal?: AbortSignal): Promise<void> {
    return rows.updateRows(this.scope, table, ids, values, signal)
  }
  delete(table: tables.Table, ids: readonly bigint[], signal?: AbortSignal): Promise<void> {
    return rows.deleteRows(this.scope, table, ids, signal)
  }
  /** Always refused: importing Parquet files is not part of this library. */
  importFiles(): Promise<never> {
    return Promise.reject(new NotSupportedCommand('import of Parquet files is not supported by this client; insert the rows instead'))
  }

  /** The rows that pass all filters, as record batches, in no order. */
  select(table: tables.Table, query: queries.Query): AsyncGenerator<RecordBatch> {
    return queries.select(this.scope, table, query)
  }
  /** The same for a query of `VastClient.prepare`. */
  selectPrepared(query: queries.PreparedQuery): AsyncGenerator<RecordBatch> {
    return queries.selectPrepared(this.scope, query)
  }
  count(table: tables.Table, query?: Omit<queries.Query, 'columns'>): Promise<number> {
    return queries.count(this.scope, table, query)
  }
  estimate(table: tables.Table, query?: Omit<queries.Query, 'columns'>): Promise<number> {
    return queries.estimate(this.scope, table, query)
  }
}
