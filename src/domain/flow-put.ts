import { randomBytes, randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { invalid, notFound, TamsError } from '../core/errors.ts'
import { isUuid, quote } from '../core/uuid.ts'
import type { ReadTx } from '../storage/tables.ts'
import { type BatchResult, batchItems, makeEach } from './batch.ts'
import { COLLECTIONS_LOCK, checkMembers } from './collections.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { type FlowDocument, type FlowRow, findFlow, getWritableFlow, readFlowDocument } from './flow.ts'
import { nestEssence } from './flow-flat.ts'
import { hasOtherFlows, insertFlow, updateFlow } from './flow-save.ts'
import { FlowCommon, TECHNICAL_MEMBERS, type TechnicalMember, type TechnicalMetadata } from './flow-schema.ts'
import { labelSort } from './paging.ts'
import { parseTechnical } from './technical.ts'
import { checker } from './validate.ts'

const checkCommon = checker(FlowCommon)

interface FlowInput {
  readonly common: FlowCommon
  readonly technical: TechnicalMetadata
  /** null: not linked to a profile. */
  readonly profileId: string | null
}

/** Ids of timelines are never used twice: the microsecond, then four random characters. */
export const newTimelineId = (nowUs: bigint): string => nowUs.toString(36) + randomBytes(3).toString('hex').slice(0, 4)

export const flowPutUseCases = (deps: Deps) => {
  const { tables, clock } = deps
  const save = (context: Context, id: string, body: () => unknown, mayReplace: boolean): Promise<FlowDocument | undefined> =>
    tables.write(async (tx) => {
      await tx.lock([`flow:${id}`])
      const found = await findFlow(tx, context, id)
      if (found && !mayReplace) throw new TamsError('exists', `id: flow ${id} is there already`, { field: 'id' })
      const existing = found && (await getWritableFlow(tx, context, id))
      const given = body()
      const common = checkCommon(given)
      if (common.id !== id) throw invalid('id', `${quote(common.id)} is not the id in the path, ${id}`)
      const members = common.flow_collection ?? []
      await tx.lock([
        `source:${common.source_id}`,
        ...(existing ? [`source:${existing.source_id}`] : []),
        ...members.map((member) => `flow:${member.id}`),
        ...(members.length > 0 ? [COLLECTIONS_LOCK] : []),
      ])
      const input = await resolveProfile(tx, common, given as object, existing)
      await checkSource(tx, id, input, existing)
      if (existing) await checkSegmentsStayReadable(existing, input)
      await checkMembers(tx, id, members)
      const nowUs = clock.nowUs()
      if (existing) {
        const updatedBy = common.updated_by !== existing.updated_by ? common.updated_by : undefined
        await updateFlow(tx, context, nowUs, existing, columns(input), {
          action: 'flow.update',
          ...(common.metadata_version !== undefined && { version: common.metadata_version }),
          ...(updatedBy !== undefined && { updatedBy }),
        })
        return undefined
      }
      const row = newRow(context, nowUs, input)
      await insertFlow(tx, context, nowUs, row)
      return readFlowDocument(tx, row)
    })

  /** Throws `exists` besides what `put` does. An absent `id` is made up. Members of the essence may also stand at the top (`flow-flat.ts`). */
  const create = async (context: Context, body: unknown): Promise<FlowDocument> => {
    const nested = nestEssence(body)
    const given = typeof nested === 'object' && nested !== null && !('id' in nested) ? { ...nested, id: randomUUID() } : nested
    const { id } = checkCommon(given)
    const flow = await save(context, id, () => given, false)
    if (!flow) throw new Error(`flow ${id} was replaced where it should have been made`)
    return flow
  }

  return {
    /**
     * Creates (gives the flow) or replaces (gives undefined) a flow; tams-behaviour.md 5.4. Members that are absent become unset.
     * `body` is asked for after those checks that come first: it throws what is wrong with it.
     * Throws `not_found` for a path id that is no UUID, `read_only`, `invalid`.
     */
    put: async (context: Context, id: string, body: () => unknown): Promise<FlowDocument | undefined> => {
      if (!isUuid(id)) throw notFound(`Flow ${id}`)
      return save(context, id, body, true)
    },

    create,

    /** Flows that collect others come last, in their order: they may name flows of the same batch. */
    createAll: (context: Context, body: unknown): Promise<BatchResult> =>
      makeEach(deps, context, batchItems(body), (item) => create(context, item), collects),
  }
}

const collects = (item: unknown): boolean => typeof item === 'object' && item !== null && 'flow_collection' in item

/** Where the technical metadata comes from: the body, or the profile it names (tams-behaviour.md 11.6). */
const resolveProfile = async (tx: ReadTx, common: FlowCommon, body: object, existing: FlowRow | undefined): Promise<FlowInput> => {
  const given = TECHNICAL_MEMBERS.filter((name) => (body as Record<string, unknown>)[name] !== undefined)
  if (common.profile_id) {
    if (given.length > 0)
      throw invalid(
        'profile_id',
        `cannot come together with ${given.join(', ')}: the profile has them. A flow as read shows both; leave the technical members out to keep the profile, or send profile_id "" to unlink it`,
      )
    if (!isUuid(common.profile_id)) throw invalid('profile_id', `${quote(common.profile_id)} is not a lower-case UUID (versions 1 to 5)`)
    return { common, technical: await profileMetadata(tx, common.profile_id), profileId: common.profile_id }
  }
  const technical = parseTechnical(body, 'body')
  if (common.profile_id === '' || existing?.profile_id == null) return { common, technical, profileId: null }
  const profile = await profileMetadata(tx, existing.profile_id)
  const differs = TECHNICAL_MEMBERS.filter((name) => !isDeepStrictEqual(technical[name], profile[name]))
  if (differs.length > 0)
    throw invalid(
      differs[0] ?? 'body',
      `differs from profile ${existing.profile_id}, which the flow is linked to; send profile_id "" to unlink it`,
    )
  return { common, technical, profileId: existing.profile_id }
}

const profileMetadata = async (tx: ReadTx, profileId: string): Promise<TechnicalMetadata> => {
  const profile = await tx.find('profiles', [profileId])
  if (!profile) throw invalid('profile_id', `there is no profile ${profileId}`)
  return JSON.parse(profile.flow_metadata) as TechnicalMetadata
}

const checkSource = async (tx: ReadTx, id: string, { common, technical }: FlowInput, existing: FlowRow | undefined): Promise<void> => {
  const source = await tx.find('sources', [common.source_id, ''])
  if (!source || source.format === technical.format) return
  const alone = existing?.source_id === common.source_id && !source.explicit && !(await hasOtherFlows(tx, common.source_id, id))
  if (!alone) throw invalid('format', `${technical.format} is not the format of source ${common.source_id}, ${source.format}`)
}

/** Members that say how the stored segments are to be read stay while there are segments (tams-behaviour.md 5.4, 14.17). */
const checkSegmentsStayReadable = (existing: FlowRow, input: FlowInput): void => {
  // Hidden ones are gone for clients.
  if (existing.start_ns === null) return
  const after = columns(input)
  for (const name of ['source_id', 'format', 'codec', 'container'] as const)
    if (existing[name] !== after[name])
      throw invalid(name, `cannot change from ${quote(existing[name])} to ${quote(after[name])} while the flow has segments`)
  if ((existing.init_segments ?? false) !== (after.init_segments ?? false))
    throw invalid('essence_parameters.init_segments', 'cannot change while the flow has segments')
}

const text = (value: string | undefined): string | null => value ?? null
const json = (value: object | undefined): string | null => (value === undefined ? null : JSON.stringify(value))
const integer = (value: unknown): bigint | null => (typeof value === 'number' ? BigInt(value) : null)

const technicalColumns = (technical: Partial<Record<TechnicalMember, unknown>> & TechnicalMetadata) => {
  const essence = technical.essence_parameters ?? {}
  return {
    format: technical.format,
    codec: text(technical.codec),
    container: text(technical.container),
    avg_bit_rate: integer(technical.avg_bit_rate),
    segment_duration: json(technical.segment_duration),
    container_mapping: json(technical.container_mapping),
    essence_parameters: json(technical.essence_parameters),
    frame_width: integer(essence.frame_width),
    frame_height: integer(essence.frame_height),
    init_segments: typeof essence.init_segments === 'boolean' ? essence.init_segments : null,
  }
}

/** All members a PUT replaces. */
const columns = ({ common, technical, profileId }: FlowInput) => ({
  source_id: common.source_id,
  label: text(common.label),
  label_sort: labelSort(common.label),
  description: text(common.description),
  status: text(common.status),
  profile_id: profileId,
  read_only: common.read_only ?? false,
  generation: integer(common.generation),
  max_bit_rate: integer(common.max_bit_rate),
  tags: JSON.stringify(common.tags ?? {}),
  flow_collection: common.flow_collection && common.flow_collection.length > 0 ? JSON.stringify(common.flow_collection) : null,
  ...technicalColumns(technical),
})

const newRow = (context: Context, nowUs: bigint, input: FlowInput): FlowRow => ({
  id: input.common.id,
  deletion_id: '',
  trashed: null,
  timeline_id: newTimelineId(nowUs),
  ...columns(input),
  metadata_version: input.common.metadata_version ?? randomUUID(),
  created: nowUs,
  created_by: input.common.created_by ?? context.principal.name,
  metadata_updated: nowUs,
  updated_by: input.common.updated_by ?? context.principal.name,
  segments_updated: null,
  start_ns: null,
  end_ns: null,
  timerange: null,
  segment_count: 0n,
  hidden: null,
})
