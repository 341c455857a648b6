import { type Static, Type } from '@sinclair/typebox'
import { invalid } from '../core/errors.ts'
import { eq } from '../core/predicate.ts'
import { compareText } from '../core/text-order.ts'
import { formatTimestamp } from '../core/timestamp.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { EXTENSIONS } from './extensions.ts'
import { effectiveLimit, type Listing, nextKey, type PageRequest, pageValues } from './paging.ts'
import { record } from './record.ts'
import type { StorageBackend } from './storage-backend.ts'
import { matchesTags, type TagFilter } from './tags.ts'
import { checker, TimestampText } from './validate.ts'

/** `service` of the specification (tams-behaviour.md 3.2). */
export const Service = Type.Object({
  type: Type.String(),
  api_version: Type.String(),
  service_version: Type.Optional(Type.String()),
  name: Type.Optional(Type.String()),
  description: Type.Optional(Type.String()),
  min_object_timeout: TimestampText,
  min_presigned_url_timeout: Type.Optional(TimestampText),
  event_stream_mechanisms: Type.Optional(Type.Array(Type.Object({ name: Type.String(), docs: Type.Optional(Type.String()) }))),
  /** Names of what there is beyond the specification, whose schema allows further members. */
  extensions: Type.Optional(Type.Array(Type.String())),
})
export type Service = Static<typeof Service>

export const ServicePost = Type.Object({ name: Type.Optional(Type.String()), description: Type.Optional(Type.String()) })
const checkPost = checker(ServicePost)

export const API_VERSION = '8.2'
const META = 'service'
const SCOPE = 'storage-backends'

export const serviceUseCases = ({ tables, backends, clock, settings, serviceVersion }: Deps) => ({
  get: async (context: Context): Promise<Service> => {
    const row = await tables.read((tx) => tx.find('meta', [META]))
    const named = row ? (JSON.parse(row.value) as Static<typeof ServicePost>) : {}
    const presigned = Math.min(settings.uploadUrlTimeout, settings.downloadUrlTimeout, settings.minObjectTimeout)
    return {
      type: 'urn:x-tams:service:vast-tams',
      api_version: API_VERSION,
      service_version: serviceVersion,
      ...named,
      min_object_timeout: formatTimestamp(BigInt(Math.floor(settings.minObjectTimeout * 1e9))),
      min_presigned_url_timeout: formatTimestamp(BigInt(Math.floor(presigned * 1e9))),
      event_stream_mechanisms: [
        { name: 'webhooks', docs: `${context.baseUrl}/docs/#/Webhooks` },
        ...(settings.strict ? [] : streams(context)),
      ],
      ...(!settings.strict && { extensions: EXTENSIONS.map(({ name }) => name) }),
    }
  },

  /** Members that are absent stay as they are; `""` clears one. Throws `invalid`. */
  update: (context: Context, body: unknown): Promise<void> =>
    tables.write(async (tx) => {
      const { name, description } = checkPost(body)
      await tx.lock([`meta:${META}`])
      const row = await tx.find('meta', [META])
      const before = row ? (JSON.parse(row.value) as Record<string, string>) : {}
      const given = Object.entries({ name, description }).filter(([, value]) => value !== undefined)
      const merged = { ...before, ...Object.fromEntries(given) } as Record<string, string>
      const value = JSON.stringify(Object.fromEntries(Object.entries(merged).filter(([, text]) => text !== '')))
      if (row) await tx.update('meta', eq('name', META), { value })
      else await tx.insert('meta', [{ name: META, value }])
      await record(tx, context, clock.nowUs(), [], { action: 'service.update', entityType: 'service', entityId: 'service' })
    }),

  /** By label, those without one by id behind them (tams-behaviour.md 3.3). */
  storageBackends: (_context: Context, tags: readonly TagFilter[], page: PageRequest): Listing<StorageBackend> => {
    const limit = effectiveLimit(page, settings)
    const after = pageValues(SCOPE, page, 1)?.[0]
    const direction = page.reverse ? -1 : 1
    const sorted = backends.map(({ info }) => info).sort((a, b) => direction * compareBackends(a, b))
    const last = after === undefined ? -1 : sorted.findIndex((info) => info.id === after)
    if (after !== undefined && last < 0) throw invalid('page', 'is no key of this listing')
    const start = last + 1
    const matching = sorted.slice(start).filter((info) => matchesTags(info.tags, tags))
    const items = matching.slice(0, limit)
    const end = matching.length > limit ? items.at(-1) : undefined
    return { items, limit, ...nextKey(SCOPE, end && [end.id]) }
  },
})

/** Mechanisms of our own (tams-behaviour.md 10.1). */
const streams = ({ baseUrl }: Context) => [
  { name: 'server-sent-events', docs: `${baseUrl}/docs/#/Events/GET_events-stream` },
  { name: 'websocket', docs: `${baseUrl}/docs/#/Events/GET_events-stream` },
]

const compareBackends = (a: StorageBackend, b: StorageBackend): number => {
  const key = (info: StorageBackend) => (info.label === undefined ? `1${info.id}` : `0${info.label}`)
  return compareText(key(a), key(b)) || compareText(a.id, b.id)
}
