import { and, eq, everything, isIn, type Value } from '../../core/predicate.ts'
import type { Row } from '../../storage/schema.ts'
import type { ReadTx, Tables, WriteTx } from '../../storage/tables.ts'
import { listAll } from '../list-all.ts'
import { type ControlledInstance, findObjects, isControlled, type ObjectRow, parseInstances } from '../media-object.ts'
import { type Finding, fault } from './finding.ts'
import { inWindows } from './walk.ts'

type InstanceRow = Row<'object_instances'>

const placeOf = (storageId: string, key: string): string => `${storageId} ${key}`
const SIZE = 300

/** Where the records of objects say that their bytes lie is what the index by place and the list of copies say. Sizes: `tams reconcile`. */
export const checkInstances = (tables: Tables): AsyncGenerator<Finding> =>
  inWindows(tables, { table: 'objects', size: SIZE }, async (tx, objects) => {
    const controlled = objects.flatMap((row) =>
      parseInstances(row)
        .filter(isControlled)
        .map((instance) => ({ row, instance })),
    )
    const index = new Map<string, InstanceRow>()
    const copying = new Set<string>()
    for (const [storageId, group] of Map.groupBy(controlled, ({ instance }) => instance.storage_id)) {
      const here = and(
        eq('storage_id', storageId),
        isIn(
          'media_key',
          group.map(({ instance }) => instance.key),
        ),
      )
      const limit = group.length * 2
      for (const row of await listAll(tx, 'object_instances', { where: here, limit })) index.set(placeOf(storageId, row.media_key), row)
      const copies = await listAll(tx, 'media_copies', { columns: ['storage_id', 'media_key'], where: here, limit })
      for (const copy of copies) copying.add(placeOf(copy.storage_id, copy.media_key))
    }
    return controlled.flatMap(({ row, instance }) => {
      const place = placeOf(instance.storage_id, instance.key)
      const wrong: Finding[] = []
      const found = index.get(place)
      if (found?.object_id !== row.id)
        wrong.push(
          fault('instance-index', `object ${row.id}`, `lies at ${place}, which is listed for ${found?.object_id ?? 'nothing'}`, (tx) =>
            writeIndex(tx, row, instance),
          ),
        )
      const isCopied = copying.has(place)
      if ((instance.status === 'copying') !== isCopied)
        wrong.push(
          fault('copy-state', `object ${row.id}`, `${place} is ${instance.status}, and ${isCopied ? 'a' : 'no'} copy is to be made`),
        )
      return wrong
    })
  })

/** An entry that names another object stays: one of both has to be looked at by a person. */
const writeIndex = async (tx: WriteTx, row: ObjectRow, { storage_id, key }: ControlledInstance): Promise<void> => {
  await tx.lock([`object:${row.id}`])
  const object = (await findObjects(tx, [row.id])).get(row.id)
  const instance =
    object &&
    parseInstances(object)
      .filter(isControlled)
      .find((each) => each.storage_id === storage_id && each.key === key)
  const listed = await tx.find('object_instances', [storage_id, key])
  if (!instance || (listed && listed.object_id !== row.id)) return
  const size = instance.size === undefined ? null : BigInt(instance.size)
  await tx.put('object_instances', [{ storage_id, media_key: key, object_id: row.id, size, created: listed?.created ?? row.created }])
}

/** The other way round: what is listed for a place is there; what is to be removed is not. */
export async function* checkPlaces(tables: Tables): AsyncGenerator<Finding> {
  yield* inPages(tables, 'object_instances', listedWrongly)
  yield* inPages(tables, 'media_removals', removedWrongly)
}

async function* inPages<N extends 'object_instances' | 'media_removals'>(
  tables: Tables,
  table: N,
  look: (tx: ReadTx, rows: readonly Row<N>[]) => Promise<readonly Finding[]>,
): AsyncGenerator<Finding> {
  for (let after: readonly Value[] | undefined; ; ) {
    const behind = after
    const { findings, next } = await tables.read(async (tx) => {
      const page = await tx.list(table, { where: everything, limit: SIZE, ...(behind && { after: behind }) })
      return { findings: page.rows.length === 0 ? [] : await look(tx, page.rows), next: page.after }
    })
    yield* findings
    if (!next) return
    after = next
  }
}

const listedWrongly = async (tx: ReadTx, rows: readonly InstanceRow[]): Promise<readonly Finding[]> => {
  const objects = await findObjects(tx, [...new Set(rows.map((row) => row.object_id))])
  return rows
    .filter((row) => !isInstance(objects.get(row.object_id), row))
    .map((row) =>
      fault(
        'instance-index',
        `object ${row.object_id}`,
        `is listed at ${placeOf(row.storage_id, row.media_key)}, and does not say so`,
        (tx) => dropIndex(tx, row),
      ),
    )
}

const isInstance = (object: ObjectRow | undefined, { storage_id, media_key }: InstanceRow): boolean =>
  object !== undefined &&
  parseInstances(object)
    .filter(isControlled)
    .some((instance) => instance.storage_id === storage_id && instance.key === media_key)

const dropIndex = async (tx: WriteTx, { storage_id, media_key, object_id }: InstanceRow): Promise<void> => {
  await tx.lock([`object:${object_id}`])
  const listed = await tx.find('object_instances', [storage_id, media_key])
  if (!listed || isInstance((await findObjects(tx, [listed.object_id])).get(listed.object_id), listed)) return
  await tx.delete('object_instances', and(eq('storage_id', storage_id), eq('media_key', media_key)))
}

const removedWrongly = async (tx: ReadTx, rows: readonly Row<'media_removals'>[]): Promise<readonly Finding[]> => {
  const findings: Finding[] = []
  for (const { id, storage_id, media_key } of rows) {
    const listed = await tx.find('object_instances', [storage_id, media_key])
    if (listed)
      findings.push(
        fault(
          'removal-in-use',
          `object ${listed.object_id}`,
          `its bytes at ${placeOf(storage_id, media_key)} are about to be removed`,
          async (tx) => {
            await tx.lock([`object:${listed.object_id}`])
            if (await tx.find('object_instances', [storage_id, media_key])) await tx.delete('media_removals', eq('id', id))
          },
        ),
      )
  }
  return findings
}
