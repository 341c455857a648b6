import { and, eq, isIn, isNull, not } from '../../core/predicate.ts'
import type { Row } from '../../storage/schema.ts'
import type { Order, ReadTx, Tables, WriteTx } from '../../storage/tables.ts'
import { listAll } from '../list-all.ts'
import type { ObjectRow } from '../media-object.ts'
import { type Finding, fault } from './finding.ts'
import { inWindows, type Window, walk, within } from './walk.ts'

/** Objects are what segments use; `object_refs` counts them. All three in the order of object ids. */
export const checkObjects = (tables: Tables): AsyncGenerator<Finding> =>
  inWindows(tables, { table: 'objects', size: 500 }, async (tx, objects, window) => {
    const uses = await countUses(tx, window)
    const counted = await readCounts(tx, window)
    const byId = new Map(objects.map((row) => [row.id, row]))
    return [
      ...unregistered(uses, byId),
      ...miscounted(uses, counted, ({ object_id }) => byId.get(object_id)?.kind !== 'init'),
      ...(await states(tx, objects, new Set([...counted.values()].map((row) => row.object_id)))),
    ]
  })

type Reference = Row<'object_refs'>
type Use = Pick<Reference, 'object_id' | 'flow_id' | 'timeline_id'>
/** By object, flow and timeline. */
type References = Map<string, Reference>

const keyOf = ({ object_id, flow_id, timeline_id }: Use): string => JSON.stringify([object_id, flow_id, timeline_id])

const countIn = (references: References, row: Use, by: bigint): void => {
  const key = keyOf(row)
  const { object_id, flow_id, timeline_id } = row
  references.set(key, { object_id, flow_id, timeline_id, count: (references.get(key)?.count ?? 0n) + by })
}

const countUses = async (tx: ReadTx, window: Window): Promise<References> => {
  const uses: References = new Map()
  const orderBy: Order<'segments'>[] = [
    { column: 'object_id', direction: 'asc' },
    { column: 'flow_id', direction: 'asc' },
  ]
  const columns: readonly (keyof Use)[] = ['object_id', 'flow_id', 'timeline_id']
  for await (const row of walk(tx, 'segments', { columns, where: within('object_id', window), orderBy })) countIn(uses, row, 1n)
  return uses
}

const readCounts = async (tx: ReadTx, window: Window): Promise<References> => {
  const counted: References = new Map()
  // Added up: a store without unique keys could have two rows of one.
  for await (const row of walk(tx, 'object_refs', { where: within('object_id', window) })) countIn(counted, row, row.count)
  return counted
}

const unregistered = (uses: References, byId: ReadonlyMap<string, ObjectRow>): Finding[] =>
  [...uses.values()]
    .filter(({ object_id }) => byId.get(object_id)?.state !== 'registered')
    .map(({ object_id, flow_id, count }) =>
      fault('segment-object', `object ${object_id}`, `is used by ${count} segments of flow ${flow_id}, and not registered`),
    )

const miscounted = (uses: References, counted: References, concerns: (row: Reference) => boolean): Finding[] => {
  const findings: Finding[] = []
  const tell = (row: Reference, found: bigint, used: bigint) => {
    if (found === used || !concerns(row)) return
    const problem = `is counted ${found} times on timeline ${row.timeline_id} of flow ${row.flow_id}, and used ${used} times`
    findings.push(fault('reference-count', `object ${row.object_id}`, problem, (tx) => recount(tx, row)))
  }
  for (const [key, row] of uses) tell(row, counted.get(key)?.count ?? 0n, row.count)
  for (const [key, row] of counted) if (!uses.has(key)) tell(row, row.count, 0n)
  return findings
}

/** Uses on one timeline: by segments, and by those of the objects that this one starts. */
const recount = async (tx: WriteTx, { object_id, flow_id, timeline_id }: Reference): Promise<void> => {
  await tx.lock([`flow:${flow_id}`, `object:${object_id}`])
  const here = and(eq('flow_id', flow_id), eq('timeline_id', timeline_id))
  let count = BigInt(await tx.count('segments', and(eq('object_id', object_id), here)))
  for await (const { id } of walk(tx, 'objects', { columns: ['id'], where: eq('init_object_id', object_id) }))
    count += BigInt(await tx.count('segments', and(eq('object_id', id), here)))
  await tx.delete('object_refs', and(eq('object_id', object_id), here))
  if (count > 0n) await tx.insert('object_refs', [{ object_id, flow_id, timeline_id, count }])
}

const states = async (tx: ReadTx, objects: readonly ObjectRow[], referred: ReadonlySet<string>): Promise<Finding[]> => {
  const initIds = [...new Set(objects.flatMap((row) => row.init_object_id ?? []))]
  const inits = new Set(
    initIds.length === 0
      ? []
      : (await listAll(tx, 'objects', { columns: ['id'], where: and(isIn('id', initIds), eq('kind', 'init')), limit: initIds.length })).map(
          (row) => row.id,
        ),
  )
  return objects.flatMap((row) => {
    const { id, state, explicit, expires, init_object_id, deletion_id } = row
    const subject = `object ${id}`
    const wrong: Finding[] = []
    if (state === 'registered' && !explicit && !referred.has(id)) wrong.push(fault('object-unused', subject, 'nothing refers to it'))
    const contradiction =
      state === 'allocated' && referred.has(id)
        ? 'is in use, and not registered'
        : (state === 'allocated') !== (expires !== null)
          ? `is ${state}, and expires ${expires}`
          : init_object_id !== null && !inits.has(init_object_id)
            ? `begins with ${init_object_id}, which is no init object`
            : deletion_id !== ''
              ? `has the deletion_id ${deletion_id}`
              : undefined
    if (contradiction !== undefined) wrong.push(fault('object-state', subject, contradiction))
    return wrong
  })
}

/** Init objects whose uses are in memory at once; each window reads all objects that have one. */
const INIT_WINDOW = 20_000

/** An init object is used as often as the objects that it starts. */
export const checkInitObjects = (tables: Tables): AsyncGenerator<Finding> =>
  inWindows(tables, { table: 'objects', where: eq('kind', 'init'), size: INIT_WINDOW }, async (tx, inits, window) => {
    if (inits.length === 0) return []
    const known = new Set(inits.map((row) => row.id))
    const uses: References = new Map()
    const started = and(not(isNull('init_object_id')), within('init_object_id', window))
    let batch = new Map<string, string>()
    const flush = async () => {
      for await (const row of walk(tx, 'object_refs', { where: isIn('object_id', [...batch.keys()]) }))
        countIn(uses, { ...row, object_id: batch.get(row.object_id) ?? '' }, row.count)
      batch = new Map()
    }
    for await (const { id, init_object_id } of walk(tx, 'objects', { columns: ['id', 'init_object_id'], where: started })) {
      if (init_object_id !== null) batch.set(id, init_object_id)
      if (batch.size === 500) await flush()
    }
    if (batch.size > 0) await flush()
    return miscounted(uses, await readCounts(tx, window), ({ object_id }) => known.has(object_id))
  })
