import { afterAll, beforeAll, expect, test } from 'bun:test'
import path from 'node:path'
import { everything } from '../../src/core/predicate.ts'
import type { Tables } from '../../src/storage/tables.ts'
import { inconsistencies } from '../support/consistency.ts'
import { videoFlow } from '../support/fixtures.ts'
import { eventually, type ServiceProcess, startService, startTams, temporaryDirectory, withStore } from '../support/service-process.ts'

const SEGMENTS = 100_000
const MINUTE = 60_000

let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let data: string
let running: ServiceProcess | undefined

const tams = (...args: readonly string[]) => startTams(data, args)

beforeAll(async () => {
  directory = await temporaryDirectory()
  data = path.join(directory.path, 'data')
  expect(await tams('seed', '--flows', '1', '--segments', String(SEGMENTS)).ended).toMatchObject({ code: 0 })
}, 5 * MINUTE)
afterAll(async () => {
  await running?.end('SIGKILL')
  await directory.remove()
})

const start = async (env: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> => {
  running = await startService(data, { LOG_LEVEL: 'info', ...env })
  return running
}
const segments = (tables: Tables) => tables.read((tx) => tx.count('segments', everything))
const left = () => withStore(data, segments)
const checkStore = async () => expect(await withStore(data, inconsistencies)).toEqual([])

test(
  'kill -9 in the middle of a purge: whoever comes next goes on, nothing is left over, and what lives is untouched',
  async () => {
    let service = await start()
    const [flow] = (await (await service.call('GET', '/flows')).json()) as { id: string }[]
    const kept = await service.call('GET', `/flows/${flow?.id}/segments?limit=1&accept_get_urls=`)
    const [shared] = (await kept.json()) as { object_id: string; timerange: string; ts_offset?: string }[]
    const other = videoFlow()
    expect((await service.call('PUT', `/flows/${other.id}`, other)).status).toBe(201)
    expect(
      (await service.call('POST', `/flows/${other.id}/segments`, { object_id: shared?.object_id, timerange: shared?.timerange })).status,
    ).toBe(201)
    const accepted = await service.call('DELETE', `/flows/${flow?.id}`)
    expect(accepted.status).toBe(202)
    const { pathname } = new URL(accepted.headers.get('location') ?? '')
    await eventually('the end of the delete request', async () => {
      const { status } = (await (await service.call('GET', pathname)).json()) as { status: string }
      return status === 'done' ? true : undefined
    })
    expect(await service.end('SIGTERM')).toBe(0)

    expect(await tams('purge').ended).toMatchObject({ code: 0, stdout: expect.stringContaining(String(SEGMENTS)) })
    expect(await left()).toBe(SEGMENTS + 1)

    let before = SEGMENTS + 1
    for (let round = 0; round < 3; round++) {
      const purging = tams('purge', '--yes')
      const [from] = [before]
      await eventually('progress of the purge', async () => ((await left()) < from ? true : undefined))
      purging.kill()
      await purging.ended
      before = await left()
      expect(before).toBeGreaterThan(1)
      await checkStore()
    }

    service = await start({ SOFT_DELETE_RETENTION: '0' })
    await eventually('progress of the service', async () => ((await left()) < before ? true : undefined))
    await service.end('SIGKILL')
    await checkStore()
    service = await start({ SOFT_DELETE_RETENTION: '0' })
    await eventually('the end of the purge', async () => ((await left()) === 1 ? true : undefined), 3 * MINUTE)
    expect((await service.call('GET', `/objects/${shared?.object_id}`)).status).toBe(200)
    await eventually('the end of the deletion', async () => {
      const rows = (await (await service.call('GET', '/deletions')).json()) as unknown[]
      return rows.length === 0 ? true : undefined
    })
    expect(await service.end('SIGTERM')).toBe(0)
    await checkStore()
    const counts = await withStore(data, (tables) =>
      tables.read(async (tx) => [
        await tx.count('flows', everything),
        await tx.count('objects', everything),
        await tx.count('object_refs', everything),
      ]),
    )
    expect(counts).toEqual([1, 1, 1])
  },
  10 * MINUTE,
)
