import { systemClock } from '../../../src/core/clock.ts'
import { createS3Store, type S3Store, type S3StoreOptions } from '../../../src/storage/s3/index.ts'
import { streamOf } from '../../contract/media.ts'
import type { Fault, StubS3 } from './stub-server.ts'

export const type = { contentType: 'video/mp2t' }
export const key = 'tams/2026/11/21/object'

/** A store on this server that neither tries again nor waits for long. */
export const openOn = ({ endpoint }: StubS3, options: Partial<S3StoreOptions> = {}): Promise<S3Store> =>
  createS3Store({
    ...{ endpoint, bucket: 'media', region: 'us-east-1', pathStyle: true, clock: systemClock() },
    ...{ accessKeyId: 'key', secretAccessKey: 'secret', storageId: '7d0f2c1e-93aa-4c1c-8a35-1f6e0f6b8d11' },
    ...{ maxAttempts: 1, idleTimeoutMs: 200, partBytes: 10, sleep: async () => {} },
    ...options,
  })

export const always = (operation: string, fault: Fault) => (called: string) => (called === operation ? fault : undefined)
export const once = (operation: string, fault: Fault) => {
  let left = 1
  return (called: string) => (called === operation && left-- > 0 ? fault : undefined)
}
export const text = async (store: S3Store) => {
  const found = await store.get(key)
  return found && new Response(found.body).text()
}
export const long = () => streamOf('0123456789', '0123456789', '01234')
