import { describe, expect, test } from 'bun:test'
import type { S3Store } from '../../../src/storage/s3/index.ts'
import { streamOf } from '../../contract/media.ts'
import { type Fault, type StubS3, stubS3 } from './stub-server.ts'
import { always, key, long, once, openOn, text, type } from './stub-store.ts'

const works: readonly (readonly [string, string, (store: S3Store) => Promise<unknown>])[] = [
  ['PutObject', 'a put', (store) => store.put(key, streamOf('new'), type)],
  ['PutObject', 'a put if absent', (store) => store.put(`${key}-2`, streamOf('new'), { ...type, ifAbsent: true })],
  ['CreateMultipartUpload', 'the beginning of a long put', (store) => store.put(key, long(), type)],
  ['UploadPart', 'a part of a long put', (store) => store.put(key, long(), type)],
  ['CompleteMultipartUpload', 'the end of a long put', (store) => store.put(key, long(), type)],
  ['GetObject', 'a get', (store) => store.get(key)],
  ['HeadObject', 'a head', (store) => store.head(key)],
  ['DeleteObjects', 'a deletion', (store) => store.delete([key])],
  ['ListObjectsV2', 'a listing', (store) => Array.fromAsync(store.list({}))],
  ['HeadBucket', 'the check', (store) => store.check()],
]
const refusals: readonly Fault[] = ['hang', 'internal_error', 'slow_down', 'forbidden', 'reset']

// They wait for timeouts and for the pauses of the SDK: all at once, each with a server of its own.
const REFUSAL = { idleTimeoutMs: 1000 }
const serving = async (work: (own: StubS3) => Promise<void>): Promise<void> => {
  const own = await stubS3()
  try {
    await work(own)
  } finally {
    own.close()
  }
}

describe.each(refusals)('when S3 answers with %s', (fault) => {
  test.concurrent.each(works)('to %s, %s is unavailable, and what was there stays', (operation, _name, work) =>
    serving(async (own) => {
      const store = await openOn(own, REFUSAL)
      await store.put(key, streamOf('former'), type)
      own.fault = always(operation, fault)
      const [result] = await Promise.allSettled([work(store)])
      expect(result).toMatchObject({ status: 'rejected', reason: { name: 'TamsError', code: 'unavailable' } })
      own.fault = () => undefined
      expect(await text(store)).toBe('former')
      expect([...own.objects.keys()].filter((each) => !each.startsWith('tams-probe'))).toEqual([key])
      expect(own.uploads.size).toBe(0)
    }),
  )
})

describe.each(refusals.filter((fault) => fault !== 'forbidden'))('when S3 answers with %s only once', (fault) => {
  test.concurrent.each(works)('to %s, %s succeeds', (operation, _name, work) =>
    serving(async (own) => {
      const store = await openOn(own, { ...REFUSAL, maxAttempts: 2 })
      await store.put(key, streamOf('former'), type)
      own.fault = once(operation, fault)
      await work(store)
      expect(own.calls.filter((called) => called === operation).length).toBeGreaterThan(1)
      expect(own.uploads.size).toBe(0)
    }),
  )
})
