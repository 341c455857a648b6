import { TamsError } from '../../core/errors.ts'
import { keepsConflictsApart, tryConflicts } from './conflict-test.ts'
import { type OpenEngineOptions, openEngine } from './open-engine.ts'
import { translate } from './vast-errors.ts'
import { VastTables, type VastTablesOptions } from './vast-tables.ts'

export { wantedProjections } from './catalog.ts'
export { type ConflictFindings, tryConflicts } from './conflict-test.ts'
export type { VastTables } from './vast-tables.ts'

export interface OpenVastOptions extends OpenEngineOptions, VastTablesOptions {
  /** The operator vouches that only one program writes: then a cluster that lets two writers of one row commit is good enough. Default false. */
  readonly singleWriter?: boolean | undefined
}

/**
 * Connects to a cluster, makes or completes the tables, and tries whether two writers of one row collide, on which everything rests. Rejects with
 * `unavailable` (no answer, wrong keys, no bucket) or `conflict` (tables that are not ours, a newer store, writers that do not collide).
 */
export const openVastTables = async (options: OpenVastOptions): Promise<VastTables> => {
  const engine = await openEngine(options)
  try {
    if (!options.singleWriter) {
      const findings = await tryConflicts(engine.client, engine.handle('meta'))
      if (!keepsConflictsApart(findings))
        throw new TamsError(
          'conflict',
          'This VAST cluster lets two transactions that change one row both commit (or neither), so several writers would overwrite each other. ' +
            'Run one replica only and set VAST_SINGLE_WRITER=true, or use a cluster that detects conflicts',
          { detail: { ...findings } },
        )
    }
    return new VastTables(engine, options)
  } catch (error) {
    engine.client.close()
    throw translate(error, 'opening the store')
  }
}
