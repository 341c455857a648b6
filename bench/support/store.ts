import { Database } from 'bun:sqlite'
import { randomUUID } from 'node:crypto'
import { cp, exists, mkdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { putFlow } from './flow.ts'
import { startService } from './program.ts'
import { scratchDirectory } from './scratch.ts'

export const FLOW_ID = '7d3c1a52-94c5-4c0e-8a4b-0f6d2b9e5c01'
export const SEGMENT_SECONDS = 2

/** Object ids in the order of the segments, as the service allocates them, or all over the place, as some clients choose them. */
export type Ids = 'ordered' | 'random'

/** A data directory of the service with one flow of `segments` segments of 2 s from 0 on, each with an object of its own. Kept. */
export const storeWith = async (segments: number, ids: Ids = 'ordered'): Promise<string> => {
  const directory = path.join(await scratchDirectory(), `flow-of-${segments}${ids === 'random' ? '-random' : ''}`)
  if (await exists(directory)) return directory
  const unfinished = `${directory}.part`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished)
  const began = performance.now()
  const service = await startService({ dataDir: unfinished })
  await putFlow(service, FLOW_ID)
  await service.stop()
  if (segments > 0) fill(path.join(unfinished, 'tams.sqlite'), segments, ids)
  await rename(unfinished, directory)
  console.log(`built ${directory} in ${((performance.now() - began) / 1000).toFixed(0)} s`)
  return directory
}

export interface StoreCopy {
  readonly directory: string
  remove(): Promise<void>
}

/** A copy to write to; `remove` it afterwards. */
export const copyOfStore = async (segments: number, ids: Ids = 'ordered'): Promise<StoreCopy> => {
  const directory = path.join(await scratchDirectory(), `copy-${process.pid}-${randomUUID()}`)
  await cp(await storeWith(segments, ids), directory, { recursive: true })
  return { directory, remove: () => rm(directory, { recursive: true, force: true }) }
}

const BATCH = 500_000
const NS = SEGMENT_SECONDS * 1_000_000_000

// 14 digits of time and 18 that differ; or 32 bits that scatter the numbers (a permutation, by Knuth's multiplier) in front.
const OBJECT_IDS: Readonly<Record<Ids, string>> = {
  ordered: `printf('%014x%018x', 1780000000000000 + i, (i * 2654435761) & 1152921504606846975)`,
  random: `printf('%08x%024x', (i * 2654435761) & 4294967295, i)`,
}
const TIMERANGE = `printf('[%d:0_%d:0)', i * ${SEGMENT_SECONDS}, (i + 1) * ${SEGMENT_SECONDS})`

/** SQL of each column, for segment `i`; `id` is its object's. */
const TABLES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  segments: {
    flow_id: '$flow',
    timeline_id: '$timeline',
    start_ns: `i * ${NS}`,
    end_ns: `(i + 1) * ${NS}`,
    timerange: TIMERANGE,
    object_id: 'id',
    created: '1780000000000000 + i',
  },
  objects: {
    id: 'id',
    deletion_id: "''",
    state: "'registered'",
    kind: "'media'",
    allocated_for: '$flow',
    first_referenced_by_flow: '$flow',
    start_ns: `i * ${NS}`,
    end_ns: `(i + 1) * ${NS}`,
    timerange: TIMERANGE,
    key_frame_count: '1',
    instances: `printf('[{"storage_id":"%s","key":"tams/2026/11/21/%s","status":"ready"}]', $storage, id)`,
    content_type: "'video/mp2t'",
    size: '1250000',
    created: '1780000000000000 + i',
    registered: '1780000000000000 + i',
    explicit: '0',
  },
  object_refs: { object_id: 'id', flow_id: '$flow', timeline_id: '$timeline', count: '1' },
  object_instances: {
    storage_id: '$storage',
    media_key: `'tams/2026/11/21/' || id`,
    object_id: 'id',
    size: '1250000',
    created: '1780000000000000 + i',
  },
}

/** Rows as the service writes them, made inside SQLite: ten million take two minutes instead of ten. */
const fill = (file: string, segments: number, ids: Ids): void => {
  const db = new Database(file, { strict: true, safeIntegers: true })
  // The directory counts only once it is renamed: nothing here has to survive a crash.
  for (const pragma of ['journal_mode = off', 'synchronous = off', 'cache_size = -500000']) db.run(`pragma ${pragma}`)
  const one = (sql: string): string => String(Object.values(db.query(sql).get() as object)[0])
  const params = {
    flow: FLOW_ID,
    timeline: one(`select timeline_id from flows where id = '${FLOW_ID}'`),
    storage: one('select id from storage_backends'),
  }
  for (const [table, columns] of Object.entries(TABLES)) {
    const expressions = Object.values(columns).join(', ')
    // Rows of one batch come in the order of the table's key, which is what makes large trees quickly.
    const order = table === 'segments' ? 'i' : 'id'
    const insert = db.query(
      `insert into ${table} (${Object.keys(columns).join(', ')})
       with recursive n(i) as (select $from union all select i + 1 from n where i + 1 < $to)
       select ${expressions} from (select i, ${OBJECT_IDS[ids]} as id from n order by ${order})`,
    )
    const used = Object.fromEntries(Object.entries(params).filter(([name]) => expressions.includes(`$${name}`)))
    for (let from = 0; from < segments; from += BATCH) insert.run({ ...used, from, to: Math.min(from + BATCH, segments) })
  }
  const end = segments * SEGMENT_SECONDS
  db.query('update flows set start_ns = 0, end_ns = ?, timerange = ?, segment_count = ?, segments_updated = created where id = ?').run(
    BigInt(end) * 1_000_000_000n,
    `[0:0_${end}:0)`,
    BigInt(segments),
    FLOW_ID,
  )
  db.close()
}
