import { afterEach, beforeEach, expect, test } from 'bun:test'
import path from 'node:path'
import { everything } from '../../src/core/predicate.ts'
import { createDiskStore } from '../../src/storage/disk/index.ts'
import {
  eventually,
  mediaFiles,
  runTams,
  type ServiceProcess,
  startService,
  temporaryDirectory,
  withStore,
} from '../support/service-process.ts'

const MINUTE = 60_000
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let data: string
let service: ServiceProcess
beforeEach(async () => {
  directory = await temporaryDirectory()
  data = path.join(directory.path, 'data')
  service = await startService(data, { LOG_LEVEL: 'info' })
}, 4 * MINUTE)
afterEach(async () => {
  await service.end('SIGKILL')
  await directory.remove()
}, 4 * MINUTE)

const tams = (...args: readonly string[]) => runTams(data, args)

test(
  'a running service is reconciled: strays go, records without bytes are marked, and what is in order stays',
  async () => {
    expect((await tams('seed', '--flows', '2', '--segments', '10', '--until', '2020-01-02T00:00:00Z')).code).toBe(0)
    const old = { nowUs: () => BigInt(Date.UTC(2020, 0, 1)) * 1000n }
    const store = await createDiskStore({ root: path.join(data, 'media'), storageId: 'x', secret: 'x'.repeat(32), clock: old })
    const contentType = 'video/mp2t'
    await store.put('tams/2020/01/01/stray', new Blob(['stray']).stream(), { contentType })
    const rows = await withStore(data, (tables) => tables.read((tx) => tx.list('object_instances', { where: everything, limit: 100 })))
    const [kept, ...lost] = rows.rows
    if (!kept) throw new Error('nothing was seeded')
    await store.put(kept.media_key, new Blob([new Uint8Array(Number(kept.size))]).stream(), { contentType })

    const looked = await tams('reconcile', '--json')
    const findings = looked.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { kind: string; key: string })
    expect(findings.filter(({ kind }) => kind === 'unrecorded').map(({ key }) => key)).toEqual(['tams/2020/01/01/stray'])
    expect(findings.filter(({ kind }) => kind === 'missing')).toHaveLength(lost.length)
    expect([looked.code, looked.stderr]).toEqual([1, expect.stringContaining(`${lost.length + 1} findings are left`)])

    const repaired = await tams('reconcile', '--repair')
    expect([repaired.code, repaired.stdout]).toEqual([0, expect.stringContaining('marked_missing')])
    await eventually('the stray is removed', async () =>
      (await mediaFiles(path.join(data, 'media'))).objects.length === 1 ? true : undefined,
    )
    const urls = async (id: string) =>
      ((await (await service.call('GET', `/objects/${id}`)).json()) as { get_urls: { url: string }[] }).get_urls
    expect(await urls(lost[0]?.object_id ?? '')).toEqual([])
    const [url] = await urls(kept.object_id)
    expect((await fetch(url?.url ?? '')).status).toBe(200)
    const again = await tams('reconcile')
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('marked before')])
  },
  4 * MINUTE,
)
