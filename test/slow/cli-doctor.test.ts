import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { eq } from '../../src/core/predicate.ts'
import { type Diagnosis, examine } from '../../src/open-doctor.ts'
import { RESTORE_DIRECTORY } from '../../src/open-stores.ts'
import { FROZEN_META } from '../../src/storage/schema.ts'
import { runTams, withStore } from '../support/service-process.ts'

// Much of the time of these tests is the disk's.
setDefaultTimeout(120_000)

let root: string
let directory: string
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'tams-doctor-'))
  expect(await runTams(seeded(), ['seed', '--flows', '3', '--segments', '30'])).toMatchObject({ code: 0 })
})
afterAll(() => rm(root, { recursive: true, force: true }))
beforeEach(async () => {
  directory = await mkdtemp(path.join(root, 'store-'))
})

const seeded = () => path.join(root, 'seeded')
const seed = () => cp(seeded(), directory, { recursive: true })
const tams = (...args: readonly string[]) => runTams(directory, args)
const linesOf = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
const examined = (env: Readonly<Record<string, string>> = {}): Promise<Diagnosis[]> =>
  Array.fromAsync(examine({ TAMS_DATA_DIR: directory, ...env }))
const ill = async (env: Readonly<Record<string, string>> = {}) => (await examined(env)).filter(({ state }) => state !== 'ok')

describe('tams doctor', () => {
  test('finds nothing to do in a store in order, and has tried everything', async () => {
    await seed()
    const found = await examined()
    expect(found.filter(({ state }) => state !== 'ok')).toEqual([])
    expect([...new Set(found.map(({ area }) => area))]).toEqual([
      'configuration',
      'data directory',
      'metadata',
      'service',
      'speed',
      'media',
    ])
    expect(await tams('doctor', '--json')).toMatchObject({ code: 0 })
  })

  test('names every variable that is wrong, and what to do', async () => {
    const found = await ill({ PORT: 'http', LOG_LEVEL: 'loud' })
    expect(found.map(({ state, message }) => [state, message.split(':')[0]])).toEqual([
      ['error', 'PORT'],
      ['error', 'LOG_LEVEL'],
    ])
    for (const { advice } of found) expect(advice).toBeTruthy()
  })

  test.each([
    [
      'a cluster that does not answer',
      { VAST_ENDPOINT: 'http://127.0.0.1:1', VAST_ACCESS_KEY: 'a', VAST_SECRET_KEY: 'b', VAST_BUCKET: 'bucket' },
      'metadata',
      'VAST_ENDPOINT',
    ],
    [
      'an S3 service that does not answer',
      { S3_ENDPOINT_URL: 'http://127.0.0.1:1', S3_BUCKET_NAME: 'media-bucket', S3_ACCESS_KEY_ID: 'a', S3_SECRET_ACCESS_KEY: 'b' },
      'media',
      's3',
    ],
  ])(
    'says of %s what is at fault',
    async (_, env, area, named) => {
      await seed()
      const errors = (await ill(env)).filter(({ state }) => state === 'error')
      expect(errors.map((each) => each.area)).toContain(area as Diagnosis['area'])
      expect(errors.map(({ message }) => message).join()).toContain(named)
    },
    30_000,
  )

  test('says of a data directory without a store that there is none yet, and makes none', async () => {
    expect(await ill()).toMatchObject([{ area: 'metadata', state: 'warning' }])
    expect(await ill({ TAMS_DATA_DIR: path.join(directory, 'none') })).toMatchObject([{ area: 'data directory', state: 'warning' }])
  })

  test('sees a damaged file, a restore that has not ended, a frozen store, and a disk without room', async () => {
    await seed()
    expect(await ill({ MIN_FREE_SPACE: '8000000 GiB' })).toMatchObject([
      { area: 'data directory', state: 'error' },
      { area: 'media', state: 'error' },
      { area: 'media', state: 'error' },
    ])
    await withStore(directory, (tables) =>
      tables.write(async (tx) => {
        await tx.lock([`meta:${FROZEN_META}`])
        await tx.put('meta', [{ name: FROZEN_META, value: 'It was moved' }])
      }),
    )
    expect(await ill()).toMatchObject([{ area: 'metadata', message: expect.stringContaining('It was moved') }])
    await mkdir(path.join(directory, RESTORE_DIRECTORY))
    expect(await ill()).toMatchObject([{ area: 'data directory', state: 'error' }])
    await rm(path.join(directory, RESTORE_DIRECTORY), { recursive: true })
    await writeFile(path.join(directory, 'tams.sqlite'), 'no database at all, but long enough to be looked at'.repeat(100))
    expect(await ill()).toMatchObject([{ area: 'metadata', state: 'error' }])
  })
})

describe('tams doctor --data', () => {
  test('says that every rule holds, finds what does not, and repairs it', async () => {
    await seed()
    expect(await tams('doctor', '--data')).toMatchObject({ code: 0, stderr: expect.stringContaining('every rule holds') })
    await withStore(directory, (tables) => tables.write((tx) => tx.update('flows', eq('deletion_id', ''), { segment_count: 5n })))
    const broken = await tams('doctor', '--data', '--json')
    expect(broken.code).toBe(1)
    const faults = linesOf(broken.stdout).filter((each) => each.rule !== undefined)
    expect(faults.length).toBeGreaterThan(0)
    for (const each of faults)
      expect(each).toMatchObject({ rule: 'flow-extent', repaired: false, remedy: expect.stringContaining('--repair') })
    expect(await tams('doctor', '--data', '--repair')).toMatchObject({ code: 0, stdout: expect.stringContaining('repaired') })
    expect(await tams('doctor', '--data')).toMatchObject({ code: 0 })
  })
})
