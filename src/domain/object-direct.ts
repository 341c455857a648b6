import { type Static, Type } from '@sinclair/typebox'
import { toSeconds } from '../core/clock.ts'
import { invalid, TamsError } from '../core/errors.ts'
import { eq } from '../core/predicate.ts'
import { quote } from '../core/uuid.ts'
import type { Row } from '../storage/schema.ts'
import type { ReadTx } from '../storage/tables.ts'
import { type BatchResult, batchItems, makeEach } from './batch.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { objectsCreated } from './extension-events.ts'
import { blankObject } from './flow-storage.ts'
import { listAll } from './list-all.ts'
import { isControlled, type ObjectRow, parseInstances } from './media-object.ts'
import { getVisibleObject } from './object.ts'
import { record } from './record.ts'
import { MAX_URLS, ObjectId, parseMediaRange, Url, UrlLabel } from './segment-schema.ts'
import { unseenObjects } from './unseen-objects.ts'
import { AnyInteger, checker, TimeRangeText, Uuid } from './validate.ts'

/** An object whose bytes lie where we do not control them. */
export const ObjectBody = Type.Object({
  id: ObjectId,
  get_urls: Type.Array(Type.Object({ url: Url, label: UrlLabel }), {
    minItems: 1,
    maxItems: MAX_URLS,
    title: `a list of 1 to ${MAX_URLS} URLs with labels`,
  }),
  timerange: TimeRangeText,
  key_frame_count: Type.Optional(AnyInteger),
})
const checkBody = checker(ObjectBody)

export const ObjectDetails = Type.Object({
  id: Type.String(),
  created: Type.String({ format: 'date-time' }),
  registered: Type.Optional(Type.String({ format: 'date-time' })),
  content_type: Type.Optional(Type.String()),
  /** Bytes; absent until they have been looked up. */
  size: Type.Optional(Type.Integer()),
  access_count: Type.Integer(),
  last_access: Type.Optional(Type.String({ format: 'date-time' })),
  instances: Type.Array(
    Type.Object({
      storage_id: Type.Optional(Uuid),
      label: Type.Optional(Type.String()),
      /** Inside the storage backend. */
      path: Type.Optional(Type.String()),
      url: Type.Optional(Type.String()),
      status: Type.Optional(Type.String()),
      size: Type.Optional(Type.Integer()),
      content_type: Type.Optional(Type.String()),
      /** The entity tag that the backend gives: where bytes were stored in one piece, their MD5. */
      checksum: Type.Optional(Type.String()),
    }),
  ),
})
export type ObjectDetails = Static<typeof ObjectDetails>

/** Objects registered without a segment, and what is known of the bytes of any. Extensions. */
export const directObjectUseCases = (deps: Deps) => {
  const { tables, clock, backends } = deps
  const labels = new Set(backends.flatMap(({ info }) => info.label ?? []))
  const storeOf = new Map(backends.map(({ info, store }) => [info.id, store]))

  /** Readable before its first segment, and never swept. Throws `exists`, `invalid`. */
  const create = (context: Context, given: unknown): Promise<{ readonly id: string }> =>
    tables.write(async (tx) => {
      const body = checkBody(given)
      const range = parseMediaRange(body.timerange, 'timerange')
      const names = body.get_urls.map((item) => item.label)
      for (const [index, name] of names.entries()) {
        if (names.indexOf(name) !== index) throw invalid('get_urls', `the label ${quote(name)} is there twice`)
        if (labels.has(name)) throw invalid('get_urls', `the label ${quote(name)} belongs to a storage backend`)
      }
      await tx.lock([`object:${body.id}`])
      const found = await tx.find('objects', [body.id, ''])
      if (found) throw new TamsError('exists', `id: object ${quote(body.id)} is there already${await whereOf(tx, found)}`, { field: 'id' })
      const nowUs = clock.nowUs()
      const row: Row<'objects'> = {
        ...blankObject(body.id, nowUs),
        state: 'registered',
        kind: 'media',
        start_ns: range.startNs,
        end_ns: range.endNs,
        timerange: range.canonical(),
        key_frame_count: body.key_frame_count === undefined ? null : BigInt(body.key_frame_count),
        instances: JSON.stringify(body.get_urls.map(({ url, label }) => ({ url, label }))),
        registered: nowUs,
        explicit: true,
      }
      await tx.insert('objects', [row])
      await record(tx, context, nowUs, objectsCreated([row]), { action: 'object.create', entityType: 'object', entityId: row.id })
      return { id: row.id }
    })

  return {
    create,

    createAll: (context: Context, body: unknown): Promise<BatchResult> =>
      makeEach(deps, context, batchItems(body), (item) => create(context, item)),

    /** Throws `not_found`. A backend that is away leaves its members out. */
    details: async (context: Context, id: string): Promise<ObjectDetails> => {
      const { row, accesses } = await tables.read(async (tx) => {
        const row = await getVisibleObject(tx, context, id)
        return { row, accesses: await listAll(tx, 'object_access', { where: eq('object_id', id), limit: 10_000 }) }
      })
      const last = accesses.reduce((latest, access) => (access.last_access > latest ? access.last_access : latest), 0n)
      const instances = await Promise.all(
        parseInstances(row).map(async (instance) => {
          if (!isControlled(instance)) return { url: instance.url, label: instance.label }
          const stored = await storeOf
            .get(instance.storage_id)
            ?.head(instance.key)
            .catch(() => undefined)
          return {
            storage_id: instance.storage_id,
            path: instance.key,
            status: instance.status,
            ...(instance.size !== undefined && { size: instance.size }),
            ...(stored && { size: stored.size, content_type: stored.contentType, checksum: stored.etag.replaceAll('"', '') }),
          }
        }),
      )
      const size =
        row.size === null ? instances.flatMap((instance) => ('size' in instance ? (instance.size ?? []) : []))[0] : Number(row.size)
      return {
        id: row.id,
        created: toSeconds(row.created),
        ...(row.registered !== null && { registered: toSeconds(row.registered) }),
        ...(row.content_type !== null && { content_type: row.content_type }),
        ...(size !== undefined && { size }),
        access_count: Number(accesses.reduce((sum, access) => sum + access.signed_count + access.read_count, 0n)),
        ...(last > 0n && { last_access: toSeconds(last) }),
        instances,
      }
    },
  }
}

/** Why an object that is there may not be found. */
const whereOf = async (tx: ReadTx, row: ObjectRow): Promise<string> => {
  if (row.state !== 'registered') return ', allocated for an upload'
  if ((await unseenObjects(tx, [row.id])).every(({ id }) => id !== row.id)) return ''
  return row.trash_id === null ? ', in the trash with all that uses it: restore that, or register a segment' : ', in the trash: restore it'
}
