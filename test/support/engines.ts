import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { readConfig, type VastConfig } from '../../src/config.ts'
import type { Clock } from '../../src/core/clock.ts'
import { openSqliteTables } from '../../src/storage/sqlite/index.ts'
import type { Tables } from '../../src/storage/tables.ts'
import { openVastTables } from '../../src/storage/vast/index.ts'
import { VastClient } from '../../src/vastdb/index.ts'

/**
 * Which engine the suites run on that do not care, by `TAMS_TEST_ENGINE`: SQLite (the default), VAST on the emulator in this process, or VAST on the
 * cluster that `VAST_*` name.
 */
export type EngineName = 'sqlite' | 'vast' | 'cluster'

/** Few, so that a store is made quickly. */
const LOCK_SLOTS = 1024

export interface TestStoreOptions {
  /** Of the test: for what an engine keeps in files. */
  readonly directory: string
  readonly clock?: Clock
  /** Whether an insert without its lock throws. */
  readonly checkLocks?: boolean
}

export const engineUnderTest = (): EngineName => {
  const name = process.env.TAMS_TEST_ENGINE ?? 'sqlite'
  if (name === 'sqlite' || name === 'vast' || name === 'cluster') return name
  throw new Error(`TAMS_TEST_ENGINE: expected sqlite, vast or cluster, not ${name}`)
}

/** A new, empty store on the engine under test. Its `close` leaves nothing on a cluster. */
export const openTestTables = async ({ directory, ...options }: TestStoreOptions): Promise<Tables> => {
  const engine = engineUnderTest()
  if (engine === 'sqlite') return openSqliteTables({ file: path.join(directory, 'tams.sqlite'), ...options })
  const cluster = engine === 'cluster' ? namedCluster() : await emulated()
  const schema = `${cluster.schema}_test_${randomUUID().replaceAll('-', '')}`
  const { sslVerify: tlsVerify, ...rest } = cluster
  const tables = await openVastTables({ ...rest, ...options, schema, tlsVerify, lockSlots: LOCK_SLOTS })
  return engine === 'vast' ? tables : withClose(tables, () => removeSchema(cluster, schema))
}

let emulator: Promise<string> | undefined

/** One emulator for all files of this process. */
const emulated = async (): Promise<VastConfig> => {
  emulator ??= startEmulator()
  const keys = { accessKey: 'test', secretKey: 'test', bucket: 'tests', schema: 'tams' }
  return { endpoints: [await emulator], ...keys, sslVerify: true, timeoutMs: 30_000, singleWriter: false, enableProjections: undefined }
}

const startEmulator = (): Promise<string> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./emulator-worker.ts', import.meta.url))
    worker.onmessage = ({ data }) => resolve(data)
    worker.onerror = ({ message }) => reject(new Error(`the emulator did not start: ${message}`))
  })

const namedCluster = (): VastConfig => {
  const { vast } = readConfig(process.env)
  if (!vast) throw new Error('TAMS_TEST_ENGINE=cluster: VAST_ENDPOINT and the other VAST_* have to name a cluster')
  return vast
}

const removeSchema = async (cluster: VastConfig, schema: string): Promise<void> => {
  const { endpoints, accessKey, secretKey, bucket, sslVerify: verify } = cluster
  const client = await VastClient.connect({ endpoints, accessKey, secretKey, bucket, tls: { verify } })
  try {
    for (const { name: table } of await client.database.listTables(schema)) await client.database.dropTable({ schema, table })
    await client.database.dropSchema(schema)
  } finally {
    client.close()
  }
}

const withClose = (tables: Tables, after: () => Promise<void>): Tables => {
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= tables.close().then(after)
    return closing
  }
  return new Proxy(tables, {
    get: (target, name) => {
      if (name === 'close') return close
      const member = Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}
