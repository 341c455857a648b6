import { and, eq, isNull, not } from '../../core/predicate.ts'
import type { Row } from '../../storage/schema.ts'
import type { ReadTx, Tables, WriteTx } from '../../storage/tables.ts'
import { DELETION_STATUSES, findDeletions } from '../deletion.ts'
import { type Finding, fault } from './finding.ts'
import { inWindows } from './walk.ts'

/** What lies in the trash belongs to a deletion that knows of it. */
export async function* checkTrash(tables: Tables): AsyncGenerator<Finding> {
  yield* inWindows(tables, { table: 'flows', size: 500 }, (tx, rows) => checkRows(tx, 'flows', rows))
  yield* inWindows(tables, { table: 'sources', size: 500 }, (tx, rows) => checkRows(tx, 'sources', rows))
  yield* inWindows(tables, { table: 'objects', where: not(isNull('trash_id')), size: 500 }, async (tx, objects) => {
    const known = await findDeletions(tx, [...new Set(objects.flatMap((row) => row.trash_id ?? []))])
    return objects
      .filter(({ id, trash_id, explicit }) => trash_id !== null && (!explicit || known.get(trash_id)?.entity_id !== id))
      .map(({ id, trash_id }) => fault('trash-of-nobody', `object ${id}`, `lies in the trash of ${trash_id}, which does not know of it`))
  })
  yield* inWindows(tables, { table: 'deletions', size: 500 }, async (_, deletions) =>
    deletions.flatMap(({ id, status, tasks }) => {
      const isKnown = DELETION_STATUSES.some((each) => each === status)
      if (isKnown && (status === 'restoring') === (tasks !== null)) return []
      return [fault('deletion-state', `deletion ${id}`, `its status is ${status}, and what is to be done ${tasks}`)]
    }),
  )
}

type Trashable = 'flows' | 'sources'

const checkRows = async (tx: ReadTx, table: Trashable, rows: readonly (Row<'flows'> | Row<'sources'>)[]): Promise<readonly Finding[]> => {
  const known = await findDeletions(tx, [...new Set(rows.flatMap((row) => (row.deletion_id === '' ? [] : [row.deletion_id])))])
  const kind = table.slice(0, -1)
  return rows.flatMap(({ id, deletion_id, trashed }) => {
    const found: Finding[] = []
    if ((deletion_id === '') !== (trashed === null))
      found.push(
        fault('trash-mark', `${kind} ${id}`, `trashed is ${trashed}, and its deletion ${JSON.stringify(deletion_id)}`, (write) =>
          mark(write, table, id, deletion_id),
        ),
      )
    if (deletion_id !== '' && !known.has(deletion_id))
      found.push(fault('trash-of-nobody', `${kind} ${id}`, `lies in the trash of ${deletion_id}, which is not there`))
    return found
  })
}

const mark = async (tx: WriteTx, table: Trashable, id: string, deletionId: string): Promise<void> => {
  await tx.lock([`${table.slice(0, -1)}:${id}`])
  await tx.update(table, and(eq('id', id), eq('deletion_id', deletionId)), { trashed: deletionId === '' ? null : true })
}
