import { randomUUID } from 'node:crypto'
import { type Command, InvalidArgumentError } from 'commander'
import { duration } from '../../config/parsers.ts'
import { readConfig } from '../../config.ts'
import { toSeconds } from '../../core/clock.ts'
import { purgeStep, type TrashContents, trashContents } from '../../domain/purge.ts'
import type { Stores } from '../../open-stores.ts'
import { say } from '../cli-error.ts'
import { parseId } from '../options.ts'
import { showProgress } from '../progress.ts'
import { formatTable } from '../table.ts'

interface Flags {
  readonly yes: boolean
  readonly olderThan: number
  readonly flow?: string
}

/** Segments of one transaction: a service may be running on the same store. */
const BATCH = 200

const EXAMPLES = `
Without --yes it only says what would go. What is purged cannot be restored; bytes that nothing else refers to go with it. The service
does the same by itself with what is older than SOFT_DELETE_RETENTION, and may be running. Broken off, it goes on where it was.

Examples:
  tams purge
  tams purge --older-than 7d --yes
  tams purge --flow 4f0ec4d5-0c0b-4f6a-8d5f-2f0f6a2ce0a1 --yes`

export const purgeCommand = (program: Command): void => {
  program
    .command('purge')
    .description('empty the trash of soft-deleted records')
    .option('--older-than <duration>', 'only what was deleted so long ago, such as 7d or 12h', parseDuration, 0)
    .option('--flow <id>', 'only deletions of this flow and of its segments', parseId)
    .option('--yes', 'do it', false)
    .addHelpText('after', EXAMPLES)
    .action(async ({ yes, olderThan, flow }: Flags) => {
      const config = readConfig(process.env)
      // Loaded only here: the other commands need no store.
      const { openStores } = await import('../../open-stores.ts')
      const stores = await openStores(config)
      try {
        const found: TrashContents[] = []
        const before = stores.clock.nowUs() - BigInt(olderThan) * 1000n
        for await (const contents of trashContents(stores.tables, before, flow)) found.push(contents)
        console.log(found.length === 0 ? 'There is nothing to purge.' : formatTable(TITLES, found.map(cellsOf)))
        if (found.length === 0) return
        if (yes) await purge(stores, found)
        else say(`${found.length} deletions would be purged, with ${segmentsOf(found)} segments; --yes does it`)
      } finally {
        await stores.close()
      }
    })
}

const TITLES = ['DELETED', 'BY', 'WHAT', 'FLOWS', 'SOURCES', 'SEGMENTS', 'ID']

const cellsOf = ({ deletion, flows, sources, segments }: TrashContents): string[] => [
  toSeconds(deletion.created),
  deletion.deleted_by,
  deletion.status === 'restored' ? `${deletion.entity_type} (restored)` : deletion.entity_type,
  String(flows),
  String(sources),
  String(segments),
  deletion.entity_id,
]

const segmentsOf = (found: readonly TrashContents[]): number => found.reduce((sum, { segments }) => sum + segments, 0)

const purge = async ({ tables, backends, clock }: Stores, found: readonly TrashContents[]): Promise<void> => {
  const progress = showProgress('purge', segmentsOf(found))
  let [done, purged] = [0, 0]
  const waiting: string[] = []
  for (const { deletion } of found)
    for (;;) {
      const { outcome, segments } = await tables.write((tx) => purgeStep(tx, clock.nowUs(), deletion.id, BATCH))
      done += segments
      progress.update(done, 0)
      if (outcome === 'more') continue
      if (outcome === 'later') waiting.push(deletion.id)
      else purged++
      break
    }
  progress.stop()
  say(`${purged} deletions purged, ${done} segments`)
  if (waiting.length > 0) say(`${waiting.length} are still being worked off by the service; purge them when that is done`)
  await removeBytes({ tables, backends, clock })
}

/** A running service does that itself. */
const removeBytes = async ({ tables, backends, clock }: Pick<Stores, 'tables' | 'backends' | 'clock'>): Promise<void> => {
  const { mediaRemovalWorker } = await import('../../workers/media-removals.ts')
  const { acquireLease, releaseLease } = await import('../../workers/lease.ts')
  const worker = mediaRemovalWorker({ tables, backends })
  const lease = await acquireLease(tables, clock, worker.name, randomUUID())
  if (!lease) {
    say('the bytes of purged media are being removed by the running service')
    return
  }
  const { signal } = new AbortController()
  while (await worker.step(lease, signal)) await Promise.resolve()
  await releaseLease(tables, lease)
  say('the bytes of purged media are removed')
}

const parseDuration = (text: string): number => {
  const ms = duration(0).parse(text)
  if (ms !== undefined) return ms
  throw new InvalidArgumentError('It has to be a duration such as 30s, 12h or 7d.')
}
