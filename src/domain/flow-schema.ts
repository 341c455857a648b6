import { type Static, type TObject, Type } from '@sinclair/typebox'
import { AnyInteger, Count, MediaType, Positive, TagSet, TimeRangeText, Uuid } from './validate.ts'

/** Members of a flow (tams-behaviour.md 5.1); one schema documents the routes and checks the bodies. */

export const FORMATS = {
  video: 'urn:x-nmos:format:video',
  image: 'urn:x-tam:format:image',
  audio: 'urn:x-nmos:format:audio',
  data: 'urn:x-nmos:format:data',
  multi: 'urn:x-nmos:format:multi',
} as const
export type FormatName = keyof typeof FORMATS
export type Format = (typeof FORMATS)[FormatName]
export const formatList = Object.values(FORMATS)
export const isFormat = (text: unknown): text is Format => formatList.some((format) => format === text)

export const FLOW_STATUSES = ['awaiting_content', 'ingesting', 'replication_in_progress', 'closed_complete'] as const

const oneOf = <T extends string>(values: readonly T[]) =>
  Type.Unsafe<T>(Type.String({ enum: [...values], pattern: `^(${values.join('|')})$`, title: `one of ${values.join(', ')}` }))

export const FormatText = oneOf(formatList)
export const StatusText = oneOf(FLOW_STATUSES)

const Rate = Type.Object({ numerator: Positive, denominator: Type.Optional(Positive) }, { title: 'a rate {numerator, denominator}' })
const Ratio = Type.Object({ numerator: Positive, denominator: Positive }, { title: 'a ratio {numerator, denominator}' })
const InitSegments = Type.Optional(Type.Boolean({ title: 'a boolean' }))
const closed = { additionalProperties: false }

const UMID = '^urn:smpte:umid:[0-9a-fA-F]{8}(.[0-9a-fA-F]{8}){7}$'
const URN_UUID = '^urn:uuid:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$'

export const ContainerMapping = Type.Object({
  track_index: Type.Optional(Count),
  format_track_index: Type.Optional(Count),
  audio_track: Type.Optional(
    Type.Object({
      channel_numbers: Type.Optional(Type.Array(Count, { minItems: 1 })),
      channel_range: Type.Optional(Type.String({ pattern: '^[0-9]+_[0-9]+$', title: 'a channel range such as 0_1' })),
    }),
  ),
  mp2ts_container: Type.Optional(Type.Object({ pid: Type.Optional(AnyInteger) })),
  mxf_container: Type.Optional(
    Type.Object({
      package_uid: Type.Optional(Type.String({ pattern: `${UMID}|${URN_UUID}`, title: 'a SMPTE UMID or UUID URN' })),
      track_id: Type.Optional(AnyInteger),
    }),
  ),
  isobmff_container: Type.Optional(Type.Object({ track_id: Type.Optional(AnyInteger) })),
})

export const CollectionItem = Type.Object({
  id: Uuid,
  role: Type.Optional(Type.String()),
  container_mapping: Type.Optional(ContainerMapping),
})
export type CollectionItem = Static<typeof CollectionItem>
/** Members of one collection, and collections of one member: each change of a flow rewrites what follows from them. */
export const MAX_MEMBERS = 1000
export const MAX_COLLECTORS = 200
export const FlowCollection = Type.Array(CollectionItem, {
  maxItems: MAX_MEMBERS,
  title: `a list of at most ${MAX_MEMBERS} {id, role?, container_mapping?}`,
})

const VideoEssence = Type.Object(
  {
    frame_width: Positive,
    frame_height: Positive,
    frame_rate: Type.Optional(Rate),
    vfr: Type.Optional(Type.Boolean()),
    bit_depth: Type.Optional(Positive),
    interlace_mode: Type.Optional(oneOf(['progressive', 'interlaced_tff', 'interlaced_bff', 'interlaced_psf'])),
    colorspace: Type.Optional(oneOf(['BT601', 'BT709', 'BT2020', 'BT2100'])),
    transfer_characteristic: Type.Optional(oneOf(['SDR', 'HLG', 'PQ'])),
    aspect_ratio: Type.Optional(Ratio),
    pixel_aspect_ratio: Type.Optional(Ratio),
    component_type: Type.Optional(oneOf(['YCbCr', 'RGB'])),
    horiz_chroma_subs: Type.Optional(Positive),
    vert_chroma_subs: Type.Optional(Positive),
    unc_parameters: Type.Optional(
      Type.Object({
        unc_type: oneOf([
          ...[
            'planar',
            'YUYV',
            'UYVY',
            'AYUV',
            'v210',
            'v216',
            'RGB',
            'RGBx',
            'xRGB',
            'BGRx',
            'xBGR',
            'RGBA',
            'ARGB',
            'BGRA',
            'ABGR',
            'alpha',
          ],
        ]),
      }),
    ),
    avc_parameters: Type.Optional(Type.Object({ profile: AnyInteger, level: AnyInteger, flags: AnyInteger })),
    init_segments: InitSegments,
  },
  closed,
)

const AudioEssence = Type.Object(
  {
    sample_rate: Positive,
    channels: Positive,
    bit_depth: Type.Optional(Positive),
    codec_parameters: Type.Optional(Type.Object({ coded_frame_size: Type.Optional(AnyInteger), mp4_oti: Type.Optional(AnyInteger) })),
    unc_parameters: Type.Optional(Type.Object({ unc_type: oneOf(['interleaved', 'planar', 'pairs']) })),
    init_segments: InitSegments,
  },
  closed,
)

const ImageEssence = Type.Object({ frame_width: Positive, frame_height: Positive, aspect_ratio: Type.Optional(Ratio) }, closed)
const DataEssence = Type.Object({ data_type: Type.Optional(Type.String()), init_segments: InitSegments }, closed)
const MultiEssence = Type.Object({ init_segments: InitSegments }, closed)

/** What a profile can hold as well. */
const technical = (format: Format, essence: TObject, codecRequired = true) =>
  Type.Object({
    format: Type.Unsafe<Format>(Type.String({ const: format, enum: [format], pattern: `^${format}$` })),
    codec: codecRequired ? MediaType : Type.Optional(MediaType),
    container: Type.Optional(MediaType),
    avg_bit_rate: Type.Optional(Count),
    segment_duration: Type.Optional(Rate),
    container_mapping: Type.Optional(ContainerMapping),
    essence_parameters: codecRequired ? essence : Type.Optional(essence),
  })

export const TECHNICAL_MEMBERS = [
  'format',
  'codec',
  'container',
  'avg_bit_rate',
  'segment_duration',
  'container_mapping',
  'essence_parameters',
] as const
export type TechnicalMember = (typeof TECHNICAL_MEMBERS)[number]

export const Technical = {
  [FORMATS.video]: technical(FORMATS.video, VideoEssence),
  [FORMATS.audio]: technical(FORMATS.audio, AudioEssence),
  [FORMATS.image]: technical(FORMATS.image, ImageEssence),
  [FORMATS.data]: technical(FORMATS.data, DataEssence),
  [FORMATS.multi]: technical(FORMATS.multi, MultiEssence, false),
}

/** What every flow has, whatever its format; server-managed members of a request are ignored, so they are not here. */
export const FlowCommon = Type.Object({
  id: Uuid,
  source_id: Uuid,
  label: Type.Optional(Type.String()),
  description: Type.Optional(Type.String()),
  created_by: Type.Optional(Type.String()),
  updated_by: Type.Optional(Type.String()),
  tags: Type.Optional(TagSet),
  metadata_version: Type.Optional(Type.String()),
  generation: Type.Optional(Count),
  status: Type.Optional(StatusText),
  read_only: Type.Optional(Type.Boolean({ title: 'a boolean' })),
  max_bit_rate: Type.Optional(Count),
  flow_collection: Type.Optional(FlowCollection),
  profile_id: Type.Optional(Type.String()),
})
export type FlowCommon = Static<typeof FlowCommon>

/** A flow's technical metadata as the store keeps it, whether it came from the flow or its profile. */
export interface TechnicalMetadata {
  readonly format: Format
  readonly codec?: string
  readonly container?: string
  readonly avg_bit_rate?: number
  readonly segment_duration?: object
  readonly container_mapping?: object
  readonly essence_parameters?: Readonly<Record<string, unknown>>
}

const managed = {
  created: Type.Optional(Type.String({ format: 'date-time' })),
  metadata_updated: Type.Optional(Type.String({ format: 'date-time' })),
  segments_updated: Type.Optional(Type.String({ format: 'date-time' })),
  timerange: Type.Optional(TimeRangeText),
  collected_by: Type.Optional(Type.Array(Uuid)),
}

/** For the documentation: a flow as read, by format. */
export const FlowDocument = Type.Union(
  Object.values(Technical).map((part) =>
    Type.Composite([Type.Omit(FlowCommon, ['profile_id']), Type.Object({ profile_id: Type.Optional(Uuid), ...managed }), part]),
  ),
)
/** For the documentation: the body of PUT. */
export const FlowPut = Type.Union([
  ...Object.values(Technical).map((part) => Type.Composite([FlowCommon, part])),
  Type.Composite([Type.Omit(FlowCommon, ['profile_id']), Type.Object({ profile_id: Uuid })]),
])
