import type { Scope } from '../../src/domain/scope.ts'

/** What a route asks for. `open`: nothing, not even credentials; `any`: credentials with whatever scope. */
export type Need = 'open' | 'any' | Scope

/** `GET` stands for HEAD and for the start of a WebSocket too; `ALL` for every method. */
type Needs = Readonly<Partial<Record<'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'ALL', Need>>>

const readOnly: Needs = { GET: 'read' }
/** Sub-properties: removing one is a change of the resource that has it. */
const property: Needs = { GET: 'read', PUT: 'write', DELETE: 'write' }
const resource: Needs = { GET: 'read', PUT: 'write', DELETE: 'delete' }
const collection: Needs = { GET: 'read', POST: 'write' }
const action: Needs = { POST: 'write' }
const administration: Needs = { GET: 'admin', POST: 'admin', PUT: 'admin', PATCH: 'admin', DELETE: 'admin' }
const open: Needs = { ALL: 'open' }

/**
 * Every route and the scope it asks for (tams-behaviour.md section 12, after AN0016); `{}` is any path parameter, a `*` at the end all
 * below. A row without `*` goes before one with it, a longer one before a shorter. Extensions: read for GET, write for POST and PUT,
 * delete for DELETE of what is more than a property, admin for what concerns everybody's deeds. A route that is not here stops the start.
 */
const table: Readonly<Record<string, Needs>> = {
  '/': { GET: 'any' },
  '/service': { GET: 'any', POST: 'admin' },
  '/service/storage-backends': { GET: 'any' },
  '/service/profiles': readOnly,
  '/service/profiles/{}': collection,
  '/service/webhooks': collection,
  // Everybody sees only their own, so that `read` is enough to look after them; and what would say more to more receivers is a write.
  '/service/webhooks/{}': { GET: 'read', PUT: 'read', DELETE: 'read' },
  '/service/webhooks/{}/*': collection,

  '/sources': collection,
  '/sources/{}': resource,
  '/sources/{}/tags': property,
  '/sources/{}/tags/{}': property,
  '/sources/{}/description': property,
  '/sources/{}/label': property,
  '/sources/{}/restore': action,
  '/sources/{}/playlist.m3u8': readOnly,
  '/sources/batch': action,

  '/flows': collection,
  '/flows/{}': resource,
  '/flows/{}/tags': property,
  '/flows/{}/tags/{}': property,
  '/flows/{}/description': property,
  '/flows/{}/label': property,
  '/flows/{}/read_only': property,
  '/flows/{}/flow_collection': property,
  '/flows/{}/max_bit_rate': property,
  '/flows/{}/avg_bit_rate': property,
  '/flows/{}/storage': action,
  '/flows/{}/segments': { GET: 'read', POST: 'write', DELETE: 'delete' },
  '/flows/{}/segments/restore': action,
  '/flows/{}/segments/{}/tags': property,
  '/flows/{}/segments/{}/tags/{}': property,
  '/flows/{}/restore': action,
  '/flows/{}/playlist.m3u8': readOnly,
  '/flows/batch': action,

  '/objects': collection,
  '/objects/{}': resource,
  '/objects/{}/details': readOnly,
  '/objects/{}/instances': { POST: 'write', DELETE: 'write' },
  '/objects/{}/restore': action,
  '/objects/batch': action,

  '/flow-delete-requests': { GET: 'admin', POST: 'delete' },
  '/flow-delete-requests/{}': { GET: 'delete' },

  '/collections': collection,
  '/collections/{}': resource,
  '/collections/{}/*': property,
  '/source-collections': collection,
  '/source-collections/{}': resource,
  '/source-collections/{}/*': property,
  '/deletions': { GET: 'admin', POST: 'delete' },
  '/deletions/{}': { GET: 'admin' },
  '/deletions/{}/restore': action,

  '/events': readOnly,
  '/events/*': readOnly,
  // A query in SQL comes by POST and changes nothing.
  '/analytics': readOnly,
  '/analytics/*': { GET: 'read', POST: 'read', DELETE: 'delete' },
  '/audit': { GET: 'admin' },
  '/audit/*': { GET: 'admin' },
  '/admin/*': administration,

  // URLs of media are signed, each for one object and a short time.
  '/media/*': open,
  '/health': { GET: 'any' },
  '/health/live': open,
  '/health/ready': open,
  '/metrics': { GET: 'any' },
  '/openapi.json': open,
  '/docs': open,
  '/docs/*': open,
  '/ui': open,
  '/ui/*': open,
}

const families = Object.keys(table)
  .filter((path) => path.endsWith('/*'))
  .sort((a, b) => b.length - a.length)

/** `path` with its parameters as `:name` or `{name}`, without the base path. Throws for a route that the table does not have. */
export const needOf = (method: string, path: string): Need => {
  const shape = path.replace(/:[^/]+|\{[^}]+\}/g, '{}').replace(/(?<=.)\/$/, '')
  const needs = table[shape] ?? table[families.find((family) => shape.startsWith(family.slice(0, -1))) ?? '']
  const need = needs?.[verb(method)] ?? needs?.ALL
  if (need === undefined) throw new Error(`${method} ${path}: the table of api/auth/scopes.ts does not say which scope it asks for`)
  return need
}

const VERBS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
const verb = (method: string): keyof Needs =>
  method === 'HEAD' || method === 'WS' ? 'GET' : (VERBS.find((each) => each === method) ?? 'ALL')
