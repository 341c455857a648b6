import { and, eq, isIn, not } from '../../core/predicate.ts'
import type { Row } from '../../storage/schema.ts'
import type { ReadTx, Tables, WriteTx } from '../../storage/tables.ts'
import { COLLECTIONS_LOCK, clearFlowCollection, writeFlowCollection } from '../collections.ts'
import { flowCollection } from '../flow-save.ts'
import { listAll } from '../list-all.ts'
import { type Finding, fault } from './finding.ts'
import { inWindows, type Window, walk, within } from './walk.ts'

type Membership = Row<'collections'>

const live = eq('deletion_id', '')
const print = (...cells: readonly unknown[]): string => JSON.stringify(cells)

/** Memberships follow from `flow_collection` of live flows; those of sources follow once more, or were named by clients. */
export async function* checkMemberships(tables: Tables): AsyncGenerator<Finding> {
  yield* inWindows(tables, { table: 'flows', where: live, size: 100 }, inferred)
  yield* inWindows(tables, { table: 'sources', where: live, size: 100 }, named)
  yield* inWindows(tables, { table: 'flows', where: not(live), size: 100 }, (tx, _, window) => kept(tx, 'flow', window))
  yield* inWindows(tables, { table: 'sources', where: not(live), size: 100 }, (tx, _, window) => kept(tx, 'source', window))
}

const inferred = async (tx: ReadTx, flows: readonly Row<'flows'>[], window: Window): Promise<readonly Finding[]> => {
  const members = new Map(flows.map((flow) => [flow.id, flowCollection(flow)]))
  const sources = await sourcesOf(
    tx,
    [...members.values()].flat().map((member) => member.id),
  )
  const wanted = new Map<string, Set<string>>()
  const findings: Finding[] = []
  for (const flow of flows) {
    const rows = new Set<string>()
    const collected = new Map<string, string | null>()
    for (const [position, { id, role = null }] of (members.get(flow.id) ?? []).entries()) {
      const source = sources.get(id)
      if (source === undefined) findings.push(fault('collection-rows', `flow ${flow.id}`, `collects ${id}, which is not there`))
      rows.add(print('flow', flow.id, position, id, role))
      if (source !== undefined && source !== flow.source_id && !collected.has(source)) collected.set(source, role)
    }
    for (const [position, [id, role]] of [...collected].entries()) rows.add(print('source', flow.source_id, position, id, role))
    wanted.set(flow.id, rows)
  }
  const found = new Map<string, Set<string>>()
  const add = ({ entity_type, parent_id, via, position, child_id, role }: Membership) =>
    found.set(via, (found.get(via) ?? new Set()).add(print(entity_type, parent_id, position, child_id, role)))
  for await (const row of walk(tx, 'collections', { where: and(eq('entity_type', 'flow'), live, within('parent_id', window)) })) add(row)
  const through = and(eq('entity_type', 'source'), live, not(eq('via', '')), within('via', window))
  for await (const row of walk(tx, 'collections', { where: through })) add(row)
  for (const id of new Set([...wanted.keys(), ...found.keys()])) {
    const [want, have] = [wanted.get(id) ?? new Set<string>(), found.get(id) ?? new Set<string>()]
    const [missing, excess] = [want.difference(have), have.difference(want)]
    if (missing.size + excess.size === 0) continue
    const problem = `${missing.size} memberships are not listed, ${excess.size} are listed and do not follow from it: ${[...missing, ...excess][0]}`
    findings.push(fault('collection-rows', `flow ${id}`, problem, (write) => rewrite(write, id)))
  }
  return findings
}

const sourcesOf = async (tx: ReadTx, ids: readonly string[]): Promise<ReadonlyMap<string, string>> => {
  const unique = [...new Set(ids)]
  if (unique.length === 0) return new Map()
  const rows = await listAll(tx, 'flows', { columns: ['id', 'source_id'], where: and(live, isIn('id', unique)), limit: unique.length })
  return new Map(rows.map((row) => [row.id, row.source_id]))
}

const rewrite = async (tx: WriteTx, id: string): Promise<void> => {
  await tx.lock([`flow:${id}`, COLLECTIONS_LOCK])
  const flow = await tx.find('flows', [id, ''])
  await clearFlowCollection(tx, id)
  if (flow) await writeFlowCollection(tx, id, flow.source_id, flowCollection(flow), true)
}

/** Both sides of a membership that a client has named live. */
const named = async (tx: ReadTx, sources: readonly Row<'sources'>[], window: Window): Promise<readonly Finding[]> => {
  const known = new Set(sources.map((row) => row.id))
  const where = and(eq('entity_type', 'source'), live, eq('via', ''), within('parent_id', window))
  const findings: Finding[] = []
  for await (const row of walk(tx, 'collections', { where })) {
    const gone = known.has(row.parent_id) ? ((await tx.find('sources', [row.child_id, ''])) ? undefined : row.child_id) : row.parent_id
    if (gone !== undefined)
      findings.push(
        fault('collection-rows', `source ${row.parent_id}`, `collects ${row.child_id}, and ${gone} is not there`, (tx) => drop(tx, row)),
      )
  }
  return findings
}

/** What a deletion ended is kept as long as one of both sides lies in its trash. */
const kept = async (tx: ReadTx, entity: 'flow' | 'source', window: Window): Promise<readonly Finding[]> => {
  const where = and(eq('entity_type', entity), not(live), within('parent_id', window))
  const findings: Finding[] = []
  for await (const row of walk(tx, 'collections', { where })) {
    if (await isKept(tx, row)) continue
    const problem = `its membership of ${row.child_id} is kept for the deletion ${row.deletion_id}, which has neither`
    findings.push(fault('collection-rows', `${entity} ${row.parent_id}`, problem, (tx) => drop(tx, row)))
  }
  return findings
}

const isKept = async (tx: ReadTx, { entity_type, parent_id, child_id, deletion_id }: Membership): Promise<boolean> => {
  const table = entity_type === 'flow' ? 'flows' : 'sources'
  return Boolean((await tx.find(table, [parent_id, deletion_id])) ?? (await tx.find(table, [child_id, deletion_id])))
}

const drop = async (tx: WriteTx, row: Membership): Promise<void> => {
  const { entity_type, parent_id, child_id, deletion_id, via, position } = row
  await tx.lock([`${entity_type}:${parent_id}`, `${entity_type}:${child_id}`, COLLECTIONS_LOCK])
  const table = entity_type === 'flow' ? 'flows' : 'sources'
  const [parent, child] = [await tx.find(table, [parent_id, deletion_id]), await tx.find(table, [child_id, deletion_id])]
  if (deletion_id === '' ? parent && child : (parent ?? child)) return
  const key = { entity_type, parent_id, deletion_id, via, position, child_id }
  await tx.delete('collections', and(...Object.entries(key).map(([column, value]) => eq(column, value))))
}
