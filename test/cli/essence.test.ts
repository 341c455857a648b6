import { describe, expect, test } from 'bun:test'
import { audioEssence, fits, videoEssence } from '../../src/cli/media/essence.ts'
import { type ProbedStream, parsePacket } from '../../src/cli/media/probe.ts'
import { rational } from '../../src/cli/media/rational.ts'

/** As `ffprobe -show_data -show_streams` of ffmpeg 5.1 wrote it for H.264 in MP4. */
const h264: ProbedStream = {
  index: 0,
  codec_name: 'h264',
  profile: 'Main',
  codec_type: 'video',
  width: 1920,
  height: 1080,
  sample_aspect_ratio: '1:1',
  display_aspect_ratio: '16:9',
  pix_fmt: 'yuv420p',
  level: 40,
  field_order: 'progressive',
  r_frame_rate: '25/1',
  avg_frame_rate: '25/1',
  time_base: '1/12800',
  bits_per_raw_sample: '8',
  extradata:
    '\n00000000: 014d 4028 ffe1 001a 674d 4028 eca0 3c01  .M@(....gM@(..<.\n00000010: 13f2 e022 0000 0300 0200 0003 0064 1e30  ...".........d.0\n00000020: 632c 0100 0468 ce0f c8                   c,...h...\n',
}
/** And for the same stream in MPEG-TS. */
const byteStream =
  '\n00000000: 0000 0167 4d40 28ec a03c 0113 f2e0 2200  ...gM@(..<....".\n00000010: 0003 0002 0000 0300 641e 3063 2c00 0000  ........d.0c,...\n00000020: 0168 ce0f c8                             .h...\n'
const aac: ProbedStream = {
  index: 1,
  codec_name: 'aac',
  profile: 'LC',
  codec_type: 'audio',
  sample_rate: '48000',
  channels: 2,
  bits_per_sample: 0,
  time_base: '1/48000',
}

describe('essence parameters', () => {
  test('of H.264 video are those that ffprobe found', () => {
    expect(videoEssence(h264, rational(25))).toEqual({
      format: 'urn:x-nmos:format:video',
      codec: 'video/h264',
      essence_parameters: {
        frame_width: 1920,
        frame_height: 1080,
        frame_rate: { numerator: 25, denominator: 1 },
        bit_depth: 8,
        interlace_mode: 'progressive',
        aspect_ratio: { numerator: 16, denominator: 9 },
        pixel_aspect_ratio: { numerator: 1, denominator: 1 },
        component_type: 'YCbCr',
        horiz_chroma_subs: 2,
        vert_chroma_subs: 2,
        avc_parameters: { profile: 77, level: 40, flags: 64 },
      },
    })
  })

  test('find the AVC profile in a byte stream as well as in an avcC record', () => {
    const found = videoEssence({ ...h264, extradata: byteStream }, rational(25)).essence_parameters.avc_parameters
    expect(found).toEqual({ profile: 77, level: 40, flags: 64 })
  })

  test('leave out the AVC profile when the stream does not carry it', () => {
    expect(videoEssence({ ...h264, extradata: '' }, rational(25)).essence_parameters).not.toHaveProperty('avc_parameters')
  })

  test('say vfr and no frame rate when the rate varies', () => {
    const { essence_parameters } = videoEssence(h264, undefined)
    expect(essence_parameters.vfr).toBe(true)
    expect(essence_parameters).not.toHaveProperty('frame_rate')
  })

  test.each([
    ['bt709', 'bt709', 'BT709', 'SDR'],
    ['smpte170m', 'smpte170m', 'BT601', 'SDR'],
    ['bt470bg', undefined, 'BT601', undefined],
    ['bt2020nc', 'bt2020-10', 'BT2020', 'SDR'],
    ['bt2020nc', 'smpte2084', 'BT2100', 'PQ'],
    ['bt2020nc', 'arib-std-b67', 'BT2100', 'HLG'],
  ])('map the matrix %s with the transfer %s to %s and %s', (color_space, color_transfer, colorspace, transfer) => {
    const stream = { ...h264, color_space, ...(color_transfer === undefined ? {} : { color_transfer }) }
    const { essence_parameters } = videoEssence(stream, rational(25))
    expect([essence_parameters.colorspace, essence_parameters.transfer_characteristic]).toEqual([colorspace, transfer])
  })

  test.each([
    ['yuv422p10le', 'YCbCr', 2, 1, 10],
    ['yuv444p', 'YCbCr', 1, 1, 8],
    ['yuv411p', 'YCbCr', 4, 1, 8],
    ['nv12', 'YCbCr', 2, 2, 8],
    ['p010le', 'YCbCr', 2, 2, 10],
    ['gbrp12le', 'RGB', undefined, undefined, 12],
  ])('read the pixel format %s', (pix_fmt, component, horizontal, vertical, depth) => {
    const { bits_per_raw_sample: _stated, ...rest } = h264
    const found = videoEssence({ ...rest, pix_fmt }, rational(25)).essence_parameters
    expect([found.component_type, found.horiz_chroma_subs, found.vert_chroma_subs, found.bit_depth]).toEqual([
      component,
      horizontal,
      vertical,
      depth,
    ])
  })

  test.each([
    ['tt', 'interlaced_tff'],
    ['bb', 'interlaced_bff'],
    ['bt', 'interlaced_tff'],
    ['tb', 'interlaced_bff'],
  ])('read the field order %s', (field_order, mode) => {
    expect(videoEssence({ ...h264, field_order }, rational(25)).essence_parameters.interlace_mode).toBe(mode)
  })

  test('of AAC name the frame size and object type, and no sample depth', () => {
    expect(audioEssence(aac, 1024)).toEqual({
      format: 'urn:x-nmos:format:audio',
      codec: 'audio/aac',
      essence_parameters: { sample_rate: 48000, channels: 2, codec_parameters: { coded_frame_size: 1024, mp4_oti: 2 } },
    })
  })
})

test('only codecs that the container carries are copied', () => {
  const fitting = (container: 'mpegts' | 'fmp4', names: readonly string[]) =>
    names.filter((codec_name) => fits({ ...h264, codec_name }, container))
  const both = ['h264', 'hevc', 'aac', 'mp2', 'ac3']
  expect(fitting('mpegts', [...both, 'prores', 'pcm_s24le', 'vp9', 'opus'])).toEqual(both)
  expect(fitting('fmp4', [...both, 'prores', 'pcm_s24le', 'vp9', 'opus'])).toEqual([...both, 'vp9', 'opus'])
})

describe('a packet line of ffprobe', () => {
  test('gives stream, times and flags', () => {
    expect(parsePacket('0,1536,512,__')).toEqual([0, { pts: 1536, duration: 512, key: false, discard: false }])
  })
  test('may be followed by side data', () => {
    expect(parsePacket('1,-1024,1024,KD,side_data,Skip Samples,1024,0,0,0')).toEqual([
      1,
      { pts: -1024, duration: 1024, key: true, discard: true },
    ])
  })
  test('may lack times', () => {
    expect(parsePacket('0,N/A,N/A,K_')).toEqual([0, { pts: undefined, duration: 0, key: true, discard: false }])
  })
  test('is none when it is only side data', () => {
    expect(parsePacket('')).toBeUndefined()
    expect(parsePacket('Skip Samples,1024,0,0,0')).toBeUndefined()
  })
})
