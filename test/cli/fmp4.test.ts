import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { FragmentAppender } from '../../src/cli/export/append-fragments.ts'
import { boxesIn, boxesOf, makeBox, words } from '../../src/cli/media/fmp4/boxes.ts'
import { writeFragment } from '../../src/cli/media/fmp4/fragment.ts'
import { type InitTrack, readInit } from '../../src/cli/media/fmp4/init.ts'
import { FragmentRetimer } from '../../src/cli/media/fmp4/retime.ts'
import { readFragment, type Sample } from '../../src/cli/media/fmp4/samples.ts'

const NO_DEFAULTS = { duration: 0, size: 0, flags: 0 }
const tracks: readonly InitTrack[] = [
  { id: 1, timescale: 12800, defaults: NO_DEFAULTS },
  { id: 2, timescale: 48000, defaults: NO_DEFAULTS },
]
const NO_TIMES = [0, 0]

/** An init segment with as much of each box as is read: tracks 1 and 2 of 12,800 and 48,000 ticks a second. */
const init = (timescales: readonly [number, number] = [12800, 48000]): Uint8Array => {
  const trak = (id: number, timescale: number) =>
    makeBox('trak', makeBox('tkhd', words(0, ...NO_TIMES, id)), makeBox('mdia', makeBox('mdhd', words(0, ...NO_TIMES, timescale))))
  const trex = makeBox('trex', words(0, 2, 1, 1024, 7, 5))
  const moov = makeBox('moov', ...timescales.map((timescale, i) => trak(i + 1, timescale)), makeBox('mvex', trex))
  return Buffer.concat([makeBox('ftyp', words(0)), moov])
}

const parts = (fragment: Uint8Array): readonly [Uint8Array, Uint8Array] => {
  const [moof, mdat] = [...boxesIn(fragment)].map(({ at, end }) => fragment.subarray(at, end))
  if (!moof || !mdat) throw new Error('no fragment')
  return [moof, mdat]
}

const sample = (dts: number, duration = 512, data = [1]): Sample => ({ dts, offset: 0, duration, flags: 0, data: Uint8Array.from(data) })

const arbitraryTrack = fc
  .record({
    start: fc.nat(2 ** 40),
    samples: fc.array(
      fc.record({
        duration: fc.nat(5000),
        offset: fc.integer({ min: -5000, max: 5000 }),
        flags: fc.constantFrom(0x0200_0000, 0x0101_0000),
        data: fc.uint8Array({ maxLength: 20 }),
      }),
      { minLength: 1, maxLength: 8 },
    ),
  })
  .map(({ start, samples }) => {
    let dts = start
    return samples.map((rest): Sample => {
      const placed = { dts, ...rest }
      dts += rest.duration
      return placed
    })
  })

test('samples of two tracks are read from a fragment as they were written, whatever they have in common', () => {
  fc.assert(
    fc.property(arbitraryTrack, arbitraryTrack, (a, b) => {
      const written = [a, b].map((list, i) => ({ trackId: i + 1, samples: list as [Sample, ...Sample[]] }))
      const read = readFragment(...parts(writeFragment(1, written)), tracks)
      const plain = (list: readonly Sample[] | undefined) => list?.map((item) => ({ ...item, data: [...item.data] }))
      expect([1, 2].map((id) => plain(read.get(id)))).toEqual([a, b].map(plain))
    }),
    { numRuns: 100 },
  )
})

test('a fragment is a moof and an mdat, and says its number', () => {
  const fragment = writeFragment(7, [{ trackId: 1, samples: [sample(0)] }])
  expect([...boxesIn(fragment)].map(({ type }) => type)).toEqual(['moof', 'mdat'])
  // Behind the headers of moof and mfhd, and version and flags.
  expect(Buffer.from(fragment).readUInt32BE(8 + 8 + 4)).toBe(7)
})

test('an init segment names its tracks in order, with ticks per second and defaults', () => {
  expect(readInit(init())).toEqual([
    { id: 1, timescale: 12800, defaults: NO_DEFAULTS },
    { id: 2, timescale: 48000, defaults: { duration: 1024, size: 7, flags: 5 } },
  ])
  expect(() => readInit(makeBox('ftyp', words(0)))).toThrow('it has no moov box')
})

describe('a stream of boxes', () => {
  test('gives each box whole, wherever the chunks end', async () => {
    const boxes = [makeBox('ftyp', words(1, 2)), makeBox('free'), makeBox('mdat', new Uint8Array(100).fill(3)), makeBox('free')]
    const bytes = Buffer.concat(boxes)
    for (const size of [1, 7, 8, 16, 33, 1000]) {
      async function* chunks() {
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
      }
      const found = await Array.fromAsync(boxesOf(chunks()))
      expect(found.map(({ type }) => type)).toEqual(['ftyp', 'free', 'mdat', 'free'])
      expect(found.map((box) => box.bytes.toHex())).toEqual(boxes.map((box) => box.toHex()))
    }
  })

  test.each([
    ['that ends in the middle of a box', makeBox('mdat', new Uint8Array(50)).subarray(0, 40)],
    ['that is something else', Buffer.from('G@\x11\x10\x00B\xf0%\x00\x01\xc1\x00\x00\xff\x01\xff\x00\x01', 'latin1')],
    ['whose box is smaller than its header', words(4, 0x6d64_6174, 0, 0)],
  ])('%s is refused', async (_what, bytes) => {
    async function* chunks() {
      yield bytes
    }
    expect(Array.fromAsync(boxesOf(chunks()))).rejects.toThrow('no MP4')
  })
})

describe('fragments on another timeline', () => {
  const moved = (seconds: readonly [from: number, delta: bigint]) => {
    const samples = tracks.map(({ id, timescale }) => ({ trackId: id, samples: [sample(seconds[0] * timescale)] as [Sample] }))
    const [moof, mdat] = parts(writeFragment(9, samples))
    new FragmentRetimer(tracks).retime(moof, seconds[1])
    const read = readFragment(moof, mdat, tracks)
    return [1, 2].map((id) => read.get(id)?.[0]?.dts)
  }

  test('begin as much later or earlier, in ticks of each track, to the nearest', () => {
    expect(moved([10, 2_000_000_000n])).toEqual([12 * 12800, 12 * 48000])
    expect(moved([10, -2_000_000_000n])).toEqual([8 * 12800, 8 * 48000])
    expect(moved([10, 30_000n])).toEqual([10 * 12800, 10 * 48000 + 1])
    expect(moved([10, -50_000n])).toEqual([10 * 12800 - 1, 10 * 48000 - 2])
  })

  test('cannot begin before zero', () => {
    expect(() => moved([1, -2_000_000_000n])).toThrow('would begin at tick -12800')
  })

  test('of unknown tracks are refused', () => {
    const [moof] = parts(writeFragment(1, [{ trackId: 3, samples: [sample(0)] }]))
    expect(() => new FragmentRetimer(tracks).retime(moof, 0n)).toThrow('track 3')
  })
})

describe('segments joined into a file', () => {
  let dir = ''
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tams-test-'))
  })
  afterAll(() => rm(dir, { recursive: true }))

  const file = async (name: string, bytes: Uint8Array): Promise<string> => {
    const path = join(dir, name)
    await Bun.write(path, bytes)
    return path
  }

  test('follow one init segment, numbered anew, without the boxes that speak of one of them', async () => {
    const sink = Bun.file(join(dir, 'joined.mp4')).writer()
    const appender = new FragmentAppender(sink)
    await appender.begin(await file('init', init()))
    const index = makeBox('sidx', words(0))
    for (const second of [0, 1]) {
      await appender.begin(await file('init', init()))
      const fragment = writeFragment(1, [{ trackId: 1, samples: [sample(0, 512, [second])] }])
      await appender.append(
        await file('part', Buffer.concat([makeBox('styp', words(0)), index, fragment])),
        BigInt(second) * 1_000_000_000n,
      )
    }
    await sink.end()
    const joined = await Bun.file(join(dir, 'joined.mp4')).bytes()
    const boxes = [...boxesIn(joined)]
    expect(boxes.map(({ type }) => type)).toEqual(['ftyp', 'moov', 'moof', 'mdat', 'moof', 'mdat'])
    const [, , ...fragments] = boxes.map(({ at, end }) => joined.subarray(at, end))
    const read = [0, 2].map(
      (i) => readFragment(fragments[i] ?? new Uint8Array(0), fragments[i + 1] ?? new Uint8Array(0), tracks).get(1)?.[0],
    )
    expect(read.map((item) => [item?.dts, ...(item?.data ?? [])])).toEqual([
      [0, 0],
      [12800, 1],
    ])
    expect([0, 2].map((i) => Buffer.from(fragments[i] ?? []).readUInt32BE(8 + 12))).toEqual([1, 2])
  })

  test('with different init segments are refused', async () => {
    const sink = Bun.file(join(dir, 'other.mp4')).writer()
    const appender = new FragmentAppender(sink)
    await appender.begin(await file('one', init()))
    expect(appender.begin(await file('two', init([90000, 48000])))).rejects.toThrow('different init objects')
    await sink.end()
  })
})
