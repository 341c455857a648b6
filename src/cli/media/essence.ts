import type { ProbedStream } from './probe.ts'
import { parseRational, type Rational } from './rational.ts'

export const FORMAT = { video: 'urn:x-nmos:format:video', audio: 'urn:x-nmos:format:audio', multi: 'urn:x-nmos:format:multi' } as const

/** The technical members of a TAMS flow that follow from the coded stream. */
export interface Essence {
  readonly format: (typeof FORMAT)['video' | 'audio']
  readonly codec: string
  readonly essence_parameters: Readonly<Record<string, unknown>>
}

export type Container = 'mpegts' | 'fmp4'

interface Codec {
  readonly mime: string
  /** The containers of segments in which ffmpeg can carry it. */
  readonly fits: readonly Container[]
}

const inBoth = (mime: string): Codec => ({ mime, fits: ['mpegts', 'fmp4'] })
const inMp4 = (mime: string): Codec => ({ mime, fits: ['fmp4'] })

/** Names of ffmpeg to MIME types, IANA's where there is one (tams-api flow-technical: `codec`), in lower case as the examples have them. */
const CODECS: Readonly<Record<string, Codec>> = {
  h264: inBoth('video/h264'),
  hevc: inBoth('video/h265'),
  mpeg2video: inBoth('video/mpv'),
  mpeg1video: inBoth('video/mpv'),
  av1: inMp4('video/av1'),
  vp9: inMp4('video/vp9'),
  aac: inBoth('audio/aac'),
  mp2: inBoth('audio/mpeg'),
  mp3: inBoth('audio/mpeg'),
  ac3: inBoth('audio/ac3'),
  eac3: inBoth('audio/eac3'),
  opus: inMp4('audio/opus'),
  flac: inMp4('audio/flac'),
  alac: inMp4('audio/x-alac'),
}

export const fits = (stream: ProbedStream, container: Container): boolean =>
  CODECS[stream.codec_name ?? '']?.fits.includes(container) ?? false

/** `frameRate` is undefined for a variable rate. */
export const videoEssence = (stream: ProbedStream, frameRate: Rational | undefined): Essence => ({
  format: FORMAT.video,
  codec: mimeOf(stream, 'video'),
  essence_parameters: defined({
    frame_width: stream.width,
    frame_height: stream.height,
    ...(frameRate ? { frame_rate: fraction(frameRate) } : { vfr: true }),
    bit_depth: bitDepth(stream),
    interlace_mode: interlaceMode(stream.field_order),
    colorspace: colorspace(stream),
    transfer_characteristic: transfer(stream.color_transfer),
    aspect_ratio: fraction(parseRational(stream.display_aspect_ratio)),
    pixel_aspect_ratio: fraction(parseRational(stream.sample_aspect_ratio)),
    ...components(stream.pix_fmt),
    avc_parameters: stream.codec_name === 'h264' ? avcParameters(stream.extradata) : undefined,
  }),
})

/** `frameSize` in samples per coded frame, where it is fixed. */
export const audioEssence = (stream: ProbedStream, frameSize: number | undefined): Essence => ({
  format: FORMAT.audio,
  codec: mimeOf(stream, 'audio'),
  essence_parameters: defined({
    sample_rate: Number(stream.sample_rate),
    channels: stream.channels,
    // A lossy codec has no sample depth of its own; ffprobe reports 0 then.
    bit_depth: positive(stream.bits_per_raw_sample) ?? positive(String(stream.bits_per_sample)),
    codec_parameters: defined({
      coded_frame_size: frameSize,
      mp4_oti: stream.codec_name === 'aac' ? AAC_OBJECT_TYPES[stream.profile ?? ''] : undefined,
    }),
  }),
})

const mimeOf = (stream: ProbedStream, type: string): string =>
  CODECS[stream.codec_name ?? '']?.mime ?? `${type}/x-${stream.codec_name ?? 'unknown'}`

/** Audio object types, ISO/IEC 14496-3 table 1.17: the last number of `mp4a.40.2`. */
const AAC_OBJECT_TYPES: Readonly<Record<string, number>> = { Main: 1, LC: 2, SSR: 3, LTP: 4, 'HE-AAC': 5, 'HE-AACv2': 29 }

const fraction = (value: Rational | undefined) => value && { numerator: Number(value.num), denominator: Number(value.den) }

const positive = (text: string | undefined): number | undefined => (Number(text) > 0 ? Number(text) : undefined)

const bitDepth = (stream: ProbedStream): number | undefined => {
  const stated = positive(stream.bits_per_raw_sample)
  if (stated !== undefined) return stated
  if (stream.pix_fmt === undefined) return undefined
  const digits = /(?:p|p0|gray)(9|10|12|14|16)(?:le|be)?$/.exec(stream.pix_fmt)?.[1]
  return digits === undefined ? 8 : Number(digits)
}

// ffmpeg's field orders name coded and displayed order: the second letter says which field is shown first.
const interlaceMode = (order: string | undefined) =>
  order === 'progressive'
    ? 'progressive'
    : order === 'tt' || order === 'bt'
      ? 'interlaced_tff'
      : order === 'bb' || order === 'tb'
        ? 'interlaced_bff'
        : undefined

const colorspace = ({ color_space, color_primaries, color_transfer }: ProbedStream): string | undefined => {
  const name = color_space ?? color_primaries ?? ''
  if (name === 'bt709') return 'BT709'
  if (['smpte170m', 'bt470bg', 'bt470m'].includes(name)) return 'BT601'
  if (!name.startsWith('bt2020')) return undefined
  return transfer(color_transfer) === 'SDR' || color_transfer === undefined ? 'BT2020' : 'BT2100'
}

const transfer = (name: string | undefined): string | undefined => {
  if (name === undefined || name === 'unknown') return undefined
  return name === 'smpte2084' ? 'PQ' : name === 'arib-std-b67' ? 'HLG' : 'SDR'
}

const SUBSAMPLING: Readonly<Record<string, readonly [number, number]>> = {
  '420': [2, 2],
  '422': [2, 1],
  '444': [1, 1],
  '440': [1, 2],
  '411': [4, 1],
  '410': [4, 4],
}

const components = (pixelFormat: string | undefined) => {
  if (pixelFormat === undefined) return {}
  if (/^(gbr|rgb|bgr|0rgb|argb|abgr)/.test(pixelFormat)) return { component_type: 'RGB' }
  const scheme = /^yuv[aj]?(4\d\d)/.exec(pixelFormat)?.[1] ?? (/^(nv12|nv21|p010|p016)/.test(pixelFormat) ? '420' : undefined)
  const subsampling = SUBSAMPLING[scheme ?? '']
  if (!subsampling) return {}
  return { component_type: 'YCbCr', horiz_chroma_subs: subsampling[0], vert_chroma_subs: subsampling[1] }
}

/**
 * The three bytes behind the header of the first sequence parameter set, ISO/IEC 14496-10 7.3.2.1.1. `extradata` is ffprobe's dump of
 * an `avcC` record (first byte 1, which repeats them) or of a byte stream.
 */
const avcParameters = (extradata: string | undefined) => {
  const bytes = parseDump(extradata)
  const at = bytes[0] === 1 ? 1 : sequenceParameterSet(bytes)
  const [profile, flags, level] = bytes.subarray(at, at + 3)
  return at < 0 || profile === undefined || flags === undefined || level === undefined ? undefined : { profile, level, flags }
}

const sequenceParameterSet = (bytes: Uint8Array): number => {
  for (let i = 0; i + 6 < bytes.length; i++) {
    if (bytes[i] === 0 && bytes[i + 1] === 0 && bytes[i + 2] === 1 && ((bytes[i + 3] ?? 0) & 0x1f) === 7) return i + 4
  }
  return -1
}

const parseDump = (dump: string | undefined): Uint8Array => {
  const rows = (dump ?? '').split('\n').map((row) => /^[0-9a-f]{8}: ((?:[0-9a-f]{2,4} )+)/.exec(row)?.[1] ?? '')
  return Uint8Array.from(Buffer.from(rows.join('').replaceAll(' ', ''), 'hex'))
}

const defined = (members: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && !isEmptyObject(value)))

const isEmptyObject = (value: unknown): boolean => typeof value === 'object' && value !== null && Object.keys(value).length === 0
