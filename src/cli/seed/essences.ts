import type { Random } from './random.ts'

export type Format = 'video' | 'audio' | 'multi' | 'data' | 'image'

export const FORMAT_URN: Readonly<Record<Format, string>> = {
  video: 'urn:x-nmos:format:video',
  audio: 'urn:x-nmos:format:audio',
  multi: 'urn:x-nmos:format:multi',
  data: 'urn:x-nmos:format:data',
  image: 'urn:x-tam:format:image',
}

/** Technical members of a flow and what its objects weigh. */
export interface Technical {
  readonly codec: string | null
  readonly container: string | null
  readonly essence: Readonly<Record<string, unknown>> | null
  /** Bits per second. */
  readonly bitRate: number
}

type Pair = readonly [number, number]
const SIZES: readonly [Pair, ...Pair[]] = [
  [1920, 1080],
  [1280, 720],
  [3840, 2160],
  [720, 576],
]
const RATES: readonly [Pair, ...Pair[]] = [
  [25, 1],
  [50, 1],
  [30000, 1001],
]

export const technicalOf = (format: Format, random: Random): Technical => {
  switch (format) {
    case 'video': {
      const [frame_width, frame_height] = random.pick(SIZES)
      const [numerator, denominator] = random.pick(RATES)
      const essence = {
        ...{ frame_width, frame_height, frame_rate: { numerator, denominator }, bit_depth: 8, interlace_mode: 'progressive' },
        ...{ colorspace: 'BT709', transfer_characteristic: 'SDR', component_type: 'YCbCr', horiz_chroma_subs: 2, vert_chroma_subs: 2 },
      }
      const bitRate = Math.round(frame_width * frame_height * (2 + 4 * random.fraction()))
      return { codec: random.pick(['video/h264', 'video/h264', 'video/h265']), container: 'video/mp2t', essence, bitRate }
    }
    case 'audio': {
      const channels = random.pick([2, 2, 1, 6])
      return {
        codec: 'audio/aac',
        container: 'video/mp2t',
        essence: { sample_rate: 48000, channels, codec_parameters: { coded_frame_size: 1024, mp4_oti: 2 } },
        bitRate: 64_000 * channels,
      }
    }
    case 'data':
      return { codec: 'application/ttml+xml', container: 'application/mp4', essence: {}, bitRate: 4_000 }
    case 'image':
      return { codec: 'image/jpeg', container: 'image/jpeg', essence: { frame_width: 1920, frame_height: 1080 }, bitRate: 400_000 }
    case 'multi':
      return { codec: null, container: null, essence: null, bitRate: 0 }
    default:
      throw new Error(`unhandled ${format satisfies never}`)
  }
}
