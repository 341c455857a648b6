// Path and query: /<bucket>[/<schema>[/<sub-schema>…]][/<table>]?<command>[&k=v…], the parameters after the command sorted by key.
import { WireError } from './wire-error.ts'

export interface Target {
  readonly bucket?: string | undefined
  /** A nested schema is a path with `/`. */
  readonly schema?: string | undefined
  readonly table?: string | undefined
  /** The first query item: `transaction`, `schema`, `table`, `rows`, `data` … */
  readonly command?: string | undefined
  readonly params?: Readonly<Record<string, string>> | undefined
}

/** Path and query as they stand in the request line. */
export interface RawTarget {
  readonly path: string
  readonly query: string
}

const encodeSegment = (segment: string): string =>
  encodeURIComponent(segment).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
const encodePart = (part: string): string => part.split('/').map(encodeSegment).join('/')
/** Query values in form style: space is `+`, `/` is `%2F`. */
const encodeValue = (value: string): string => encodeSegment(value).replaceAll('%20', '+')

/** A name of a schema or table must be a path segment that no client or proxy changes. */
const checkName = (what: string, name: string, nested: boolean): void => {
  const segments = nested ? name.split('/') : [name]
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..' || (!nested && segment.includes('/'))))
    throw new RangeError(`${JSON.stringify(name)} cannot be the name of a ${what}`)
}

export const encodeTarget = ({ bucket, schema, table, command, params = {} }: Target): RawTarget => {
  if (bucket !== undefined) checkName('bucket', bucket, true)
  if (schema !== undefined) checkName('schema', schema, true)
  if (table !== undefined) checkName('table', table, false)
  const parts = [bucket, schema, table].filter((part) => part !== undefined).map(encodePart)
  const sorted = Object.entries(params).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const items = sorted.map(([key, value]) => `${key}=${encodeValue(value)}`)
  return { path: `/${parts.join('/')}`, query: [...(command === undefined ? [] : [command]), ...items].join('&') }
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new WireError('request target', 0, `${JSON.stringify(text)} is not percent-encoded text`, { cause })
  }
}

const WITHOUT_TABLE: readonly (string | undefined)[] = [
  undefined,
  'schema',
  'transaction',
  'vastdb-run-query',
  'vastdb-query-status',
  'vastdb-data',
]

/** Whether the last path segment is a table: not for `?schema`, nor for listing tables and views. */
const addressesTable = (method: string, command: string | undefined): boolean =>
  !WITHOUT_TABLE.includes(command) && !(method === 'GET' && (command === 'table' || command === 'view'))

/** Reads a request target. `method` matters: `GET ?table` addresses a schema, `POST ?table` a table. */
export const decodeTarget = (method: string, target: string): Target => {
  const cut = target.indexOf('?')
  const path = cut < 0 ? target : target.slice(0, cut)
  const items =
    cut < 0
      ? []
      : target
          .slice(cut + 1)
          .split('&')
          .filter((item) => item !== '')
  const [first] = items
  const command = first !== undefined && !first.replace(/=$/, '').includes('=') ? first.replace(/=$/, '') : undefined
  const params = Object.fromEntries(
    items.slice(command === undefined ? 0 : 1).map((item) => {
      const at = item.indexOf('=')
      const [key, value] = at < 0 ? [item, ''] : [item.slice(0, at), item.slice(at + 1)]
      return [decode(key), decode(value.replaceAll('+', ' '))]
    }),
  )
  const [bucket, ...names] = path
    .split('/')
    .filter((segment) => segment !== '')
    .map(decode)
  const snapshot = names[0] === '.snapshot' && names[1] !== undefined ? names.splice(0, 2).join('/') : undefined
  const table = names.length > 1 && addressesTable(method, command) ? names.pop() : undefined
  return {
    bucket: snapshot === undefined ? bucket : `${bucket}/${snapshot}`,
    schema: names.length > 0 ? names.join('/') : undefined,
    table,
    command,
    params,
  }
}
