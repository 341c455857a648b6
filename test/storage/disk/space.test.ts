import { describe, expect, test } from 'bun:test'
import { isTamsError } from '../../../src/core/errors.ts'
import { createSpaceCheck, nodeFs } from '../../../src/storage/disk/index.ts'

const check = (free: { bytes: number; asked: number }, now: { ms: number }) =>
  createSpaceCheck({
    directory: '/somewhere',
    lowWaterBytes: 1000,
    refusal: 'no more',
    nowMs: () => now.ms,
    fs: {
      ...nodeFs,
      statfs: async () => {
        free.asked++
        return { bavail: free.bytes, bsize: 1 }
      },
    },
  })

describe('the look at the room that is left', () => {
  test('refuses below the mark, and not at it', async () => {
    const free = { bytes: 999, asked: 0 }
    const now = { ms: 0 }
    const look = check(free, now)
    const error = await look().catch((reason: unknown) => reason)
    expect(isTamsError(error, 'storage_full') && error.message).toBe('no more')
    free.bytes = 1000
    now.ms += 100
    await look()
  })

  test('is taken ten times a second at most, however many ask', async () => {
    const free = { bytes: 5000, asked: 0 }
    const now = { ms: 0 }
    const look = check(free, now)
    await Promise.all(Array.from({ length: 100 }, look))
    now.ms = 99
    await look()
    expect(free.asked).toBe(1)
    now.ms = 100
    await look()
    expect(free.asked).toBe(2)
  })

  test('of a file system that cannot be asked is told to whoever asks, and taken again', async () => {
    const now = { ms: 0 }
    let fails = true
    const statfs = async () => {
      if (fails) throw Object.assign(new Error('EIO'), { code: 'EIO' })
      return { bavail: 5000, bsize: 1 }
    }
    const look = createSpaceCheck({ directory: '/', lowWaterBytes: 1, refusal: '', nowMs: () => now.ms, fs: { ...nodeFs, statfs } })
    await expect(look()).rejects.toThrow('EIO')
    fails = false
    now.ms += 100
    await look()
  })
})
