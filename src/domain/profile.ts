import { type Static, Type } from '@sinclair/typebox'
import { toSeconds } from '../core/clock.ts'
import { invalid, notFound } from '../core/errors.ts'
import { and, eq } from '../core/predicate.ts'
import { isUuid, quote } from '../core/uuid.ts'
import type { Row } from '../storage/schema.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { FORMATS, Technical } from './flow-schema.ts'
import { effectiveLimit, type Listing, nextKey, type PageRequest, pageValues } from './paging.ts'
import { record } from './record.ts'
import { parseTags } from './tags.ts'
import { parseTechnical } from './technical.ts'
import { checker, TagSet, Uuid } from './validate.ts'

const members = {
  id: Uuid,
  label: Type.Optional(Type.String()),
  description: Type.Optional(Type.String()),
  created_by: Type.Optional(Type.String()),
  created: Type.Optional(Type.String({ format: 'date-time' })),
  tags: Type.Optional(TagSet),
}
const { [FORMATS.multi]: _multi, ...singleEssence } = Technical
/** `profile` of the specification: immutable technical metadata that flows are made from (tams-behaviour.md 3.4). */
export const Profile = Type.Object({ ...members, flow_metadata: Type.Union(Object.values(singleEssence)) })
const checkProfile = checker(Type.Object({ ...members, created: Type.Optional(Type.Unknown()), flow_metadata: Type.Object({}) }))
export type Profile = Omit<Static<typeof Profile>, 'flow_metadata'> & { readonly flow_metadata: object }

export interface ProfileFilter {
  readonly format?: string
  readonly codec?: string
  readonly label?: string
}

const SCOPE = 'profiles'

const document = (row: Row<'profiles'>): Profile => ({
  id: row.id,
  ...(row.label !== null && { label: row.label }),
  ...(row.description !== null && { description: row.description }),
  ...(row.created_by !== null && { created_by: row.created_by }),
  created: toSeconds(row.created),
  tags: parseTags(row.tags) as Record<string, string | string[]>,
  flow_metadata: JSON.parse(row.flow_metadata) as object,
})

export const profileUseCases = ({ tables, clock, settings }: Deps) => ({
  /** Newest first. */
  list: (_context: Context, filter: ProfileFilter, page: PageRequest): Promise<Listing<Profile>> =>
    tables.read(async (tx) => {
      const limit = effectiveLimit(page, settings)
      const after = pageValues(SCOPE, page, 2)
      const terms = Object.entries(filter).map(([column, value]) => eq(column, value))
      const orderBy = [
        { column: 'created', direction: 'desc' },
        { column: 'id', direction: 'desc' },
      ] as const
      const found = await tx.list('profiles', { where: and(...terms), orderBy, limit, ...(after && { after }) })
      return { items: found.rows.map(document), limit, ...nextKey(SCOPE, found.after) }
    }),

  get: (_context: Context, id: string): Promise<Profile> =>
    tables.read(async (tx) => {
      const row = isUuid(id) ? await tx.find('profiles', [id]) : undefined
      if (!row) throw notFound(`Profile ${id}`)
      return document(row)
    }),

  /** Throws `not_found` for a path id that is no UUID, `invalid` for a bad body and for a profile that exists already. */
  create: (context: Context, id: string, body: unknown): Promise<Profile> =>
    tables.write(async (tx) => {
      if (!isUuid(id)) throw notFound(`Profile ${id}`)
      await tx.lock([`profile:${id}`])
      const profile = checkProfile(body)
      if (profile.id !== id) throw invalid('id', `${quote(profile.id)} is not the id in the path, ${id}`)
      const metadata = parseTechnical(profile.flow_metadata, 'flow_metadata')
      if (metadata.format === FORMATS.multi || metadata.codec === undefined)
        throw invalid('flow_metadata.format', `a profile describes one essence, not ${metadata.format}`)
      if (await tx.find('profiles', [id])) throw invalid('id', `profile ${id} exists already; profiles cannot be changed`)
      const nowUs = clock.nowUs()
      const row: Row<'profiles'> = {
        id,
        label: profile.label ?? null,
        description: profile.description ?? null,
        format: metadata.format,
        codec: metadata.codec,
        tags: JSON.stringify(profile.tags ?? {}),
        flow_metadata: JSON.stringify(metadata),
        created: nowUs,
        created_by: profile.created_by ?? context.principal.name,
      }
      await tx.insert('profiles', [row])
      await record(tx, context, nowUs, [], { action: 'profile.create', entityType: 'profile', entityId: id })
      return document(row)
    }),
})
