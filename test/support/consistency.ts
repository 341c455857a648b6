import { TimeRange } from '../../src/core/time-range.ts'
import type { MediaBackend } from '../../src/domain/storage-backend.ts'
import type { Row, TableName } from '../../src/storage/schema.ts'
import type { ReadTx, Tables } from '../../src/storage/tables.ts'

const allRows = async <N extends TableName>(tx: ReadTx, table: N): Promise<Row<N>[]> => {
  const rows: Row<N>[] = []
  for (let after: Parameters<ReadTx['list']>[1]['after']; ; ) {
    const page = await tx.list(table, { where: { kind: 'and', terms: [] }, limit: 10_000, ...(after && { after }) })
    rows.push(...page.rows)
    if (!page.after) return rows
    after = page.after
  }
}

interface Store {
  readonly flows: Row<'flows'>[]
  readonly sources: Row<'sources'>[]
  readonly segments: Row<'segments'>[]
  readonly objects: Row<'objects'>[]
  readonly refs: Row<'object_refs'>[]
  readonly instances: Row<'object_instances'>[]
  readonly removals: Row<'media_removals'>[]
  readonly copies: Row<'media_copies'>[]
  readonly tags: Row<'tags'>[]
  readonly collections: Row<'collections'>[]
  readonly requests: Row<'deletion_requests'>[]
  readonly deletions: Row<'deletions'>[]
}

const load = (tables: Tables): Promise<Store> =>
  tables.read(async (tx) => ({
    flows: await allRows(tx, 'flows'),
    sources: await allRows(tx, 'sources'),
    segments: await allRows(tx, 'segments'),
    objects: await allRows(tx, 'objects'),
    refs: await allRows(tx, 'object_refs'),
    instances: await allRows(tx, 'object_instances'),
    removals: await allRows(tx, 'media_removals'),
    copies: await allRows(tx, 'media_copies'),
    tags: await allRows(tx, 'tags'),
    collections: await allRows(tx, 'collections'),
    requests: await allRows(tx, 'deletion_requests'),
    deletions: await allRows(tx, 'deletions'),
  }))

/**
 * Every rule by which two tables, or two columns, say the same thing; a sentence for each that is broken. Written without the code
 * that keeps these rules.
 */
export const inconsistencies = async (tables: Tables): Promise<string[]> => {
  const store = await load(tables)
  return [
    ...timelines(store),
    ...references(store),
    ...instances(store),
    ...tags(store),
    ...collections(store),
    ...sources(store),
    ...trash(store),
  ]
}

/** Keys in the backends that no object, upload, copy or pending removal accounts for. */
export const strayBytes = async (tables: Tables, backends: readonly MediaBackend[]): Promise<string[]> => {
  const { instances: known, removals, copies } = await load(tables)
  const expected = new Set([...known, ...removals, ...copies].map((row) => `${row.storage_id} ${row.media_key}`))
  const stray: string[] = []
  for (const { info, store } of backends)
    for await (const { key } of store.list({})) if (!expected.has(`${info.id} ${key}`)) stray.push(`${info.id} ${key}`)
  return stray
}

const timelineOf = (row: { readonly flow_id: string; readonly timeline_id: string }) => `${row.flow_id} ${row.timeline_id}`

function* timelines({ flows, segments, requests, deletions }: Store): Generator<string> {
  const open = requests.filter((request) => request.status !== 'done')
  const byTimeline = Map.groupBy(segments, timelineOf)
  for (const rows of byTimeline.values()) rows.sort((a, b) => (a.start_ns < b.start_ns ? -1 : 1))
  for (const [timeline, rows] of byTimeline) {
    for (const [index, row] of rows.entries()) {
      const next = rows[index + 1]
      if (next && next.start_ns < row.end_ns) yield `${timeline}: ${row.timerange} overlaps ${next.timerange}`
      const range = TimeRange.parse(row.timerange)
      if (range.startNs !== row.start_ns || range.endNs !== row.end_ns)
        yield `${timeline}: ${row.timerange} is stored as ${row.start_ns} to ${row.end_ns}`
    }
    const owned =
      flows.some((flow) => timeline === `${flow.id} ${flow.timeline_id}`) ||
      deletions.some((deletion) => trashTimelines(deletion).includes(timeline))
    if (!owned && !open.some((request) => request.delete_flow && timelineOf(request) === timeline))
      yield `${timeline}: ${rows.length} segments of no flow, and no request to delete them`
  }
  for (const flow of flows) {
    const rows = byTimeline.get(`${flow.id} ${flow.timeline_id}`) ?? []
    const hidden = flow.hidden === null ? [] : (JSON.parse(flow.hidden) as [string, string, string, string?, string?][])
    const visible = rows.filter((row) => !hidden.some(([start, end]) => BigInt(start) <= row.start_ns && row.start_ns < BigInt(end)))
    const extent = TimeRange.encompassing(visible.map((row) => TimeRange.parse(row.timerange)))
    const expected = visible.length === 0 ? null : extent.canonical()
    if (flow.timerange !== expected) yield `flow ${flow.id}: timerange is ${flow.timerange}, not ${expected}`
    if (flow.start_ns !== (visible.length === 0 ? null : extent.startNs)) yield `flow ${flow.id}: start_ns is ${flow.start_ns}`
    if (flow.end_ns !== (visible.length === 0 ? null : extent.endNs)) yield `flow ${flow.id}: end_ns is ${flow.end_ns}`
    if (flow.segment_count !== BigInt(rows.length)) yield `flow ${flow.id}: segment_count is ${flow.segment_count}, not ${rows.length}`
    for (const [index, [start, end, requestId, kind = 'delete', deletionId]] of hidden.entries()) {
      if (BigInt(start) >= BigInt(end)) yield `flow ${flow.id}: an empty hidden stretch at ${start}`
      const before = hidden[index - 1]
      if (before && BigInt(before[1]) > BigInt(start)) yield `flow ${flow.id}: hidden stretches overlap at ${start}`
      if (kind === 'restore') {
        const tasks = deletions.find(({ id, status }) => id === requestId && status === 'restoring')?.tasks ?? '[]'
        if (
          !(JSON.parse(tasks) as { kind: string; timeline_id: string }[]).some(
            (task) => task.kind === 'move' && task.timeline_id === flow.timeline_id,
          )
        )
          yield `flow ${flow.id}: segments are hidden for the restore of ${requestId}, which does nothing for them`
        continue
      }
      const request = open.find(({ id }) => id === requestId)
      if (request && (kind === 'trash' ? deletionId : null) !== request.deletion_id)
        yield `flow ${flow.id}: hidden for ${kind} ${deletionId}, but request ${requestId} says ${request.deletion_id}`
      if (!open.some((request) => request.id === requestId && timelineOf(request) === `${flow.id} ${flow.timeline_id}`))
        yield `flow ${flow.id}: segments are hidden for request ${requestId}, which is not open`
    }
  }
}

function* references({ segments, objects, refs }: Store): Generator<string> {
  const byId = new Map(objects.map((object) => [object.id, object]))
  const expected = new Map<string, bigint>()
  const count = (row: Row<'segments'>, id: string) => {
    const key = `${id} ${timelineOf(row)}`
    expected.set(key, (expected.get(key) ?? 0n) + 1n)
  }
  for (const row of segments) {
    const object = byId.get(row.object_id)
    if (object?.state !== 'registered') yield `segment ${timelineOf(row)} ${row.timerange}: its object ${row.object_id} is not registered`
    count(row, row.object_id)
    if (object?.init_object_id != null) count(row, object.init_object_id)
  }
  const found = new Map(refs.map((row) => [`${row.object_id} ${timelineOf(row)}`, row.count]))
  for (const [key, uses] of expected) if (found.get(key) !== uses) yield `reference ${key}: counted ${found.get(key) ?? 0n}, used ${uses}`
  for (const key of found.keys()) if (!expected.has(key)) yield `reference ${key}: counted, but no segment uses it`
  const referred = new Set(refs.map((row) => row.object_id))
  for (const object of objects) {
    if (object.state === 'registered' && !object.explicit && !referred.has(object.id)) yield `object ${object.id}: nothing refers to it`
    if (object.state === 'allocated' && referred.has(object.id)) yield `object ${object.id}: in use, but not registered`
    if ((object.state === 'allocated') !== (object.expires !== null))
      yield `object ${object.id}: ${object.state}, and expires ${object.expires}`
    if (object.init_object_id !== null && byId.get(object.init_object_id)?.kind !== 'init')
      yield `object ${object.id}: ${object.init_object_id} is no init object`
  }
}

interface StoredInstance {
  readonly storage_id?: string
  readonly key?: string
  readonly status?: string
}

function* instances({ objects, instances: rows, removals, copies }: Store): Generator<string> {
  const expected = new Map<string, string>()
  for (const object of objects)
    for (const { storage_id, key, status } of JSON.parse(object.instances) as StoredInstance[]) {
      if (storage_id === undefined) continue
      const place = `${storage_id} ${key}`
      if (expected.has(place)) yield `${place}: belongs to ${expected.get(place)} and ${object.id}`
      expected.set(place, object.id)
      const copied = copies.some((copy) => `${copy.storage_id} ${copy.media_key}` === place)
      if ((status === 'copying') !== copied) yield `${place}: ${status}, and ${copied ? 'a' : 'no'} copy is to be made`
    }
  const found = new Map(rows.map((row) => [`${row.storage_id} ${row.media_key}`, row.object_id]))
  for (const [place, id] of expected) if (found.get(place) !== id) yield `${place}: an instance of ${id}, listed for ${found.get(place)}`
  for (const [place, id] of found) if (!expected.has(place)) yield `${place}: listed for ${id}, which does not have it`
  for (const { storage_id, media_key } of removals)
    if (expected.has(`${storage_id} ${media_key}`)) yield `${storage_id} ${media_key}: to be removed, but in use`
}

function* tags({ flows, sources: sourceRows, tags: rows }: Store): Generator<string> {
  const print = (...parts: readonly unknown[]) => JSON.stringify(parts)
  const expected = new Set<string>()
  const owners = [...flows.map((row) => ['flow', row] as const), ...sourceRows.map((row) => ['source', row] as const)]
  for (const [type, row] of owners)
    for (const [name, value] of Object.entries(JSON.parse(row.tags) as Record<string, string | string[]>)) {
      const values = typeof value === 'string' ? [value] : value
      if (values.length === 0) expected.add(print(type, row.id, row.deletion_id, name, 0, '', true))
      for (const [position, text] of values.entries()) expected.add(print(type, row.id, row.deletion_id, name, position, text, false))
    }
  const found = new Set(
    rows.map((row) => print(row.entity_type, row.entity_id, row.deletion_id, row.name, row.position, row.value, row.empty_list)),
  )
  for (const row of expected) if (!found.has(row)) yield `tag ${row}: has no row`
  for (const row of found) if (!expected.has(row)) yield `tag ${row}: has a row, but is not set`
}

function* collections({ flows: all, collections: everyRow }: Store): Generator<string> {
  const flows = all.filter(isLive)
  const rows = everyRow.filter(isLive)
  const sourceOf = new Map(flows.map((flow) => [flow.id, flow.source_id]))
  for (const row of everyRow) {
    if (isLive(row) || row.entity_type !== 'flow') continue
    const sides = all.filter(({ id, deletion_id }) => deletion_id === row.deletion_id && (id === row.parent_id || id === row.child_id))
    if (sides.length === 0) yield `membership of ${row.child_id} in ${row.parent_id}: kept for ${row.deletion_id}, which has neither`
  }
  const print = (...parts: readonly unknown[]) => JSON.stringify(parts)
  const expected = new Set<string>()
  for (const flow of flows) {
    const members = flow.flow_collection === null ? [] : (JSON.parse(flow.flow_collection) as { id: string; role?: string }[])
    const collected = new Map<string, string | null>()
    for (const [position, { id, role = null }] of members.entries()) {
      const source = sourceOf.get(id)
      if (source === undefined) yield `flow ${flow.id}: collects ${id}, which is not there`
      expected.add(print('flow', flow.id, flow.id, position, id, role))
      if (source !== undefined && source !== flow.source_id && !collected.has(source)) collected.set(source, role)
    }
    for (const [position, [id, role]] of [...collected].entries())
      expected.add(print('source', flow.source_id, flow.id, position, id, role))
  }
  const found = new Set(rows.map((row) => print(row.entity_type, row.parent_id, row.via, row.position, row.child_id, row.role)))
  for (const row of expected) if (!found.has(row)) yield `collection ${row}: has no row`
  for (const row of found) if (!expected.has(row)) yield `collection ${row}: has a row, but no flow says so`
}

function* sources({ flows: all, sources: everyRow }: Store): Generator<string> {
  const flows = all.filter(isLive)
  const rows = everyRow.filter(isLive)
  const byId = new Map(rows.map((row) => [row.id, row]))
  for (const flow of flows)
    if (byId.get(flow.source_id)?.format !== flow.format) yield `flow ${flow.id}: its source is missing or of another format`
  for (const row of rows) if (!row.explicit && !flows.some((flow) => flow.source_id === row.id)) yield `source ${row.id}: has no flow`
}

const isLive = (row: { readonly deletion_id: string }): boolean => row.deletion_id === ''

/** Timelines that only a deletion knows, those of flows in its trash aside. */
const trashTimelines = ({ id, entity_type, flow_id, left_segments }: Row<'deletions'>): string[] => [
  ...(entity_type === 'segments' ? [`${flow_id} ${id}`] : []),
  ...(JSON.parse(left_segments ?? '[]') as { flow_id: string; from: string }[]).map((left) => `${left.flow_id} ${left.from}`),
]

/** What lies in the trash belongs to a deletion that knows of it. */
function* trash({ flows, sources: rows, objects, deletions }: Store): Generator<string> {
  const known = new Map(deletions.map((deletion) => [deletion.id, deletion]))
  for (const [kind, row] of [...flows.map((row) => ['flow', row] as const), ...rows.map((row) => ['source', row] as const)]) {
    if (isLive(row) !== (row.trashed === null)) yield `${kind} ${row.id}: trashed is ${row.trashed} with deletion ${row.deletion_id}`
    if (!isLive(row) && !known.has(row.deletion_id)) yield `${kind} ${row.id}: lies in the trash of ${row.deletion_id}, which is not there`
  }
  for (const { id, trash_id, explicit, deletion_id } of objects) {
    if (deletion_id !== '') yield `object ${id}: has the deletion_id ${deletion_id}`
    if (trash_id !== null && (!explicit || known.get(trash_id)?.entity_id !== id)) yield `object ${id}: lies in the trash of ${trash_id}`
  }
  for (const { id, status, tasks } of deletions)
    if ((status === 'restoring') !== (tasks !== null)) yield `deletion ${id}: ${status}, and its tasks are ${tasks}`
}
