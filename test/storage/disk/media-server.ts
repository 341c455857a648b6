import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Elysia } from 'elysia'
import { type MediaRouteOptions, mediaRoutes } from '../../../api/routes/media.ts'
import type { Clock } from '../../../src/core/clock.ts'
import { isTamsError } from '../../../src/core/errors.ts'
import { createDiskStore, type DiskStore, type DiskStoreOptions } from '../../../src/storage/disk/index.ts'

export const storageId = '5b1b4b5e-59d6-4f0a-8a51-6d0b1d2f8a01'

export interface FixedClock extends Clock {
  seconds: number
}

export const fixedClock = (seconds = 1_800_000_000): FixedClock => ({
  seconds,
  nowUs() {
    return BigInt(Math.round(this.seconds * 1e6))
  },
})

export interface TemporaryStore {
  readonly root: string
  readonly clock: FixedClock
  readonly store: DiskStore
  /** The same directory again, as after a restart. */
  reopen(options?: Partial<DiskStoreOptions>): Promise<DiskStore>
  /** Every file below the root, in order. */
  files(): Promise<readonly string[]>
  close(): Promise<void>
}

export const temporaryStore = async (options: Partial<DiskStoreOptions> = {}): Promise<TemporaryStore> => {
  const parent = await mkdtemp(path.join(tmpdir(), 'tams-media-'))
  const root = path.join(parent, 'media')
  const clock = fixedClock()
  const reopen = (more: Partial<DiskStoreOptions> = {}) =>
    createDiskStore({ root, storageId, secret: 'a secret of the tests', clock, ...options, ...more })
  const store = await reopen()
  return {
    root,
    clock,
    store,
    reopen,
    files: async () => {
      const entries = await readdir(root, { recursive: true, withFileTypes: true })
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => path.join(path.relative(root, entry.parentPath), entry.name))
        .sort()
    },
    close: () => rm(parent, { recursive: true }),
  }
}

const statuses: Readonly<Record<string, number>> = {
  invalid: 400,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  range_not_satisfiable: 416,
  storage_full: 507,
  unavailable: 503,
}

export interface MediaServer extends TemporaryStore {
  readonly baseUrl: string
  readonly port: number
}

/** The route on a real socket, with errors mapped as the whole service does. */
export const mediaServer = async (
  options: Partial<DiskStoreOptions> = {},
  route: Partial<Omit<MediaRouteOptions, 'stores'>> = {},
): Promise<MediaServer> => {
  const temporary = await temporaryStore(options)
  const app = new Elysia()
    .onError(({ code, error, set }) => {
      set.status = isTamsError(error) ? (statuses[error.code] ?? 500) : code === 'NOT_FOUND' ? 404 : 500
      return { type: isTamsError(error) ? error.code : 'internal', summary: String(error) }
    })
    .use(mediaRoutes({ stores: [temporary.store], mayUpload: async () => true, ...route }))
    .listen({ port: 0, hostname: '127.0.0.1', maxRequestBodySize: Number.MAX_SAFE_INTEGER })
  const port = app.server?.port ?? 0
  return {
    ...temporary,
    port,
    baseUrl: `http://127.0.0.1:${port}`,
    close: async () => {
      await app.stop(true)
      await temporary.close()
    },
  }
}
