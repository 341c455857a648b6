import { and, eq, isIn } from '../../core/predicate.ts'
import type { Tables } from '../../storage/tables.ts'
import { listAll } from '../list-all.ts'
import { type Finding, fault } from './finding.ts'
import { inWindows } from './walk.ts'

/** Every live flow has its source, of its format; a source that no client has made has a flow. */
export async function* checkSources(tables: Tables): AsyncGenerator<Finding> {
  const live = eq('deletion_id', '')
  yield* inWindows(tables, { table: 'flows', where: live, size: 500 }, async (tx, flows) => {
    const ids = [...new Set(flows.map((flow) => flow.source_id))]
    if (ids.length === 0) return []
    const rows = await listAll(tx, 'sources', { columns: ['id', 'format'], where: and(live, isIn('id', ids)), limit: ids.length })
    const formats = new Map(rows.map((row) => [row.id, row.format]))
    return flows
      .filter((flow) => formats.get(flow.source_id) !== flow.format)
      .map((flow) => {
        const format = formats.get(flow.source_id)
        const problem = format === undefined ? 'is not there' : `has the format ${format}, not ${flow.format}`
        return fault('flow-source', `flow ${flow.id}`, `its source ${flow.source_id} ${problem}`)
      })
  })
  yield* inWindows(tables, { table: 'sources', where: live, size: 500 }, async (tx, sources) => {
    const findings: Finding[] = []
    for (const { id, explicit } of sources)
      if (!explicit && (await tx.count('flows', and(eq('source_id', id), live), { atMost: 1 })) === 0)
        findings.push(fault('source-without-flow', `source ${id}`, 'has no flow, and was not made by itself'))
    return findings
  })
}
