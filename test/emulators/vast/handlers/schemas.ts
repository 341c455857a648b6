import { decodeProperties } from '../../../../src/vastdb/wire/control.ts'
import { encodeList } from '../../../../src/vastdb/wire/listing.ts'
import { bucketOf, type Handler, pageOf, schemaOf } from '../exchange.ts'
import { badRequest } from '../protocol-error.ts'

const claim = (bucket: string, path: string) => `schema ${bucket}/${path}`

export const createSchema: Handler = (exchange) => {
  const { bucket, schema: path } = schemaOf(exchange)
  const properties = decodeProperties(exchange.body) ?? ''
  const { transactions, transaction } = exchange
  const entry = { bucket, path, handle: transactions.newId(), properties, tables: new Map() }
  transactions.change(transaction, [claim(bucket, path)], (catalog) => catalog.addSchema(entry))
  return {}
}

export const alterSchema: Handler = (exchange) => {
  const { bucket, schema: path } = schemaOf(exchange)
  const { transactions, transaction, target } = exchange
  const properties = decodeProperties(exchange.body)
  const newPath = target.params?.['tabular-new-schema-name']
  if (newPath === '') throw badRequest('the new name of the schema is empty')
  transaction.catalog.schema(bucket, path)
  const claims = [path, ...(newPath === undefined ? [] : [newPath])].map((name) => claim(bucket, name))
  transactions.change(transaction, claims, (catalog) => {
    const changed = properties === undefined ? catalog : catalog.setSchemaProperties(bucket, path, properties)
    return newPath === undefined ? changed : changed.renameSchema(bucket, path, newPath)
  })
  return {}
}

export const dropSchema: Handler = (exchange) => {
  const { bucket, schema: path } = schemaOf(exchange)
  exchange.transactions.change(exchange.transaction, [claim(bucket, path)], (catalog) => catalog.dropSchema(bucket, path))
  return {}
}

/** The children of a bucket or schema by their own names; of a missing schema an empty list. */
export const listSchemas: Handler = (exchange) => {
  const bucket = bucketOf(exchange)
  const { items, headers } = pageOf(exchange, exchange.transaction.catalog.children(bucket, exchange.target.schema ?? ''))
  const entries = items.map(({ name, schema }) => ({ name, properties: schema.properties, handle: String(schema.handle) }))
  return { headers, body: encodeList('schemas', { parents: [bucket], entries }) }
}
