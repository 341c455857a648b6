import { INGEST_NAMESPACE, namedUuid } from '../ids.ts'
import { audioEssence, type Container, FORMAT, videoEssence } from '../media/essence.ts'
import type { Rational } from '../media/rational.ts'
import type { Track } from '../media/track.ts'
import type { Flow, TagValues } from '../tams-types.ts'

export interface FlowOptions {
  readonly label: string
  readonly container: Container
  readonly tags: TagValues
  readonly segmentSeconds: Rational
  readonly muxed: boolean
  /** Of the file's content and of everything that changes what its flows are. */
  readonly name: string
  /** SHA-256 of the file. */
  readonly contentHash: string
  /** Ids of the flow that stands for the file, and of its source. */
  readonly flowId?: string
  readonly sourceId?: string
}

/** The flows of one file: `essences` in the order of the tracks, and `multi` which collects them. */
export interface FlowSet {
  readonly essences: readonly Flow[]
  /** Absent for a single essence that is not muxed: that flow stands for the file. */
  readonly multi: Flow | undefined
}

export const describeFlows = (tracks: readonly Track[], options: FlowOptions): FlowSet => {
  const single = tracks.length === 1 && !options.muxed
  const topFlow = options.flowId ?? namedUuid(INGEST_NAMESPACE, `flow/${options.name}/${options.contentHash}`)
  const sourceRoot = namedUuid(INGEST_NAMESPACE, `source/${options.contentHash}`)
  const roles = rolesOf(tracks)
  const duration = { numerator: Number(options.segmentSeconds.num), denominator: Number(options.segmentSeconds.den) }
  const own = (kinds: readonly Track['kind'][]) => ({ container: mimeOf(options.container, kinds), segment_duration: duration })
  const init = options.container === 'fmp4' ? { init_segments: true } : {}
  const common = { tags: options.tags, status: 'ingesting' }

  const essences = tracks.map((track, i): Flow => {
    const index = String(track.stream.index)
    const sourceBase = options.sourceId ?? sourceRoot
    const essence = track.kind === 'video' ? videoEssence(track.stream, track.frameRate) : audioEssence(track.stream, track.frameSize)
    return {
      id: single ? topFlow : namedUuid(topFlow, index),
      source_id: single && options.sourceId !== undefined ? options.sourceId : namedUuid(sourceBase, index),
      ...common,
      label: single ? options.label : `${options.label} ${roles[i]}`,
      ...essence,
      ...(options.muxed ? {} : { ...own([track.kind]), essence_parameters: { ...essence.essence_parameters, ...init } }),
    }
  })
  if (single) return { essences, multi: undefined }
  const multi: Flow = {
    id: topFlow,
    source_id: options.sourceId ?? namedUuid(sourceRoot, 'multi'),
    ...common,
    label: options.label,
    format: FORMAT.multi,
    ...(options.muxed ? own(tracks.map(({ kind }) => kind)) : {}),
    ...(options.muxed && options.container === 'fmp4' ? { essence_parameters: init } : {}),
    flow_collection: essences.map(({ id }, i) => ({
      id,
      role: roles[i] ?? '',
      ...(options.muxed ? { container_mapping: { format_track_index: formatIndex(tracks, i) } } : {}),
    })),
  }
  return { essences, multi }
}

const mimeOf = (container: Container, kinds: readonly Track['kind'][]): string =>
  container === 'mpegts' ? 'video/mp2t' : kinds.includes('video') ? 'video/mp4' : 'audio/mp4'

const formatIndex = (tracks: readonly Track[], i: number): number =>
  tracks.slice(0, i).filter((track) => track.kind === tracks[i]?.kind).length

const rolesOf = (tracks: readonly Track[]): string[] =>
  tracks.map((track, i) => {
    const index = formatIndex(tracks, i)
    return index === 0 ? track.kind : `${track.kind}_${index + 1}`
  })

/** Members that a service manages itself, and that a client does not send back. */
const MANAGED = [
  'created',
  'metadata_updated',
  'segments_updated',
  'timerange',
  'collected_by',
  'metadata_version',
  'created_by',
  'updated_by',
]

/** What to PUT so that `flow`, as read, changes only in `changes`. */
export const changed = (flow: Flow, changes: Readonly<Record<string, unknown>>): Flow => ({
  ...flow,
  ...Object.fromEntries(MANAGED.map((name) => [name, undefined])),
  ...changes,
})
