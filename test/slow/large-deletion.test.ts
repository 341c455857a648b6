import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { runTams, type ServiceProcess, startService } from '../support/service-process.ts'

const SEGMENTS = 1_000_000
const FLOWS = 100_000
const MIB = 1024 * 1024
/** Beyond what the service takes without anything to do. */
const MEMORY_BYTES = 400 * MIB
const TIMEOUT = 10 * 60 * 1000

let data: string
let service: ServiceProcess
const seed = async (...args: string[]) => expect(await runTams(data, ['seed', ...args])).toMatchObject({ code: 0 })
beforeAll(async () => {
  data = await mkdtemp(path.join(tmpdir(), 'tams-large-'))
  await seed('--flows', '1', '--segments', String(SEGMENTS), '--seed', 'long')
  await seed('--flows', String(FLOWS), '--segments', String(FLOWS), '--seed', 'many')
  service = await startService(data, { LOG_LEVEL: 'info' })
}, TIMEOUT)
afterAll(async () => {
  await service.end('SIGTERM')
  await rm(data, { recursive: true, force: true })
})

interface DeleteRequest {
  readonly status: string
  readonly timerange_remaining: string
}
const get = async <T>(target: string): Promise<T> => {
  const answer = await service.call('GET', target)
  expect(answer.status).toBe(200)
  return (await answer.json()) as T
}
const memory = async (): Promise<number> => (await get<{ system: { memory_bytes: number } }>('/health')).system.memory_bytes

test(
  'a flow of a million segments beside 100,000 others vanishes at once and is worked off while reads go on, in bounded memory',
  async () => {
    const long = await longestFlow()
    const before = await memory()
    const deletion = await service.call('DELETE', `/flows/${long}`)
    expect(deletion.status).toBe(202)
    const location = (deletion.headers.get('location') ?? '').replace(service.url, '')
    expect((await service.call('GET', `/flows/${long}`)).status).toBe(404)
    expect(await get<unknown[]>(`/flows/${long}/segments`)).toEqual([])

    const starts: string[] = []
    let most = 0
    for (;;) {
      const [request, page, used] = await Promise.all([get<DeleteRequest>(location), get<unknown[]>('/flows?limit=100'), memory()])
      expect(page).toHaveLength(100)
      most = Math.max(most, used)
      starts.push(request.timerange_remaining)
      expect(['created', 'started', 'done']).toContain(request.status)
      if (request.status === 'done') break
    }
    expect(starts.at(-1)).toBe('()')
    expect(new Set(starts).size).toBeGreaterThan(10)
    expect(most - before).toBeLessThan(MEMORY_BYTES)
  },
  TIMEOUT,
)

const longestFlow = async (): Promise<string> => {
  const answer = await service.call('POST', '/analytics/query', { sql: 'select id from flows order by segment_count desc limit 1' })
  const { rows } = (await answer.json()) as { rows: { id: string }[] }
  const id = rows[0]?.id
  if (id === undefined) throw new Error('the store has no flows')
  return id
}
