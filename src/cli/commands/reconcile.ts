import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import type { Counts, Finding } from '../../workers/reconcile/index.ts'
import { CliError, say } from '../cli-error.ts'
import { formatTable } from '../table.ts'

interface Flags {
  readonly backend?: string
  readonly repair: boolean
  readonly json: boolean
}

const EXAMPLES = `
Compares the objects in each storage backend with the records of the store that the environment names; a service may be running.
Findings: unrecorded (bytes without a record), missing (a record without its bytes), found_again, size_differs, size_unknown.
What is younger than MIN_OBJECT_TIMEOUT and the time for which upload URLs are valid is left alone, and so is what lies outside
TAMS_STORAGE_PATH.

--repair has unrecorded bytes removed, marks instances without bytes so that no URL leads to them (and takes the mark off again),
and corrects sizes. Exit code 1: findings are left.

Examples:
  tams reconcile
  tams reconcile --repair
  tams reconcile --backend s3 --json | jq 'select(.kind == "missing")'`

/** A table of more would be read by nobody, and is kept in memory. */
const TABLE_ROWS = 1000

export const reconcileCommand = (program: Command): void => {
  program
    .command('reconcile')
    .description('compare the bytes in the storage backends with their records')
    .option('--backend <id>', 'only this storage backend: its id or label')
    .option('--repair', 'put right what is found', false)
    .option('--json', 'print each finding as one line of JSON', false)
    .addHelpText('after', EXAMPLES)
    .action(async (flags: Flags) => {
      const config = readConfig(process.env)
      // Loaded only here: the other commands need no store.
      const { openStores } = await import('../../open-stores.ts')
      const { reconcile, noCounts } = await import('../../workers/reconcile/index.ts')
      const { removeQueuedMedia } = await import('../../workers/media-removals.ts')
      const stores = await openStores(config)
      try {
        const chosen = stores.backends.filter(
          ({ info }) => flags.backend === undefined || info.id === flags.backend || info.label === flags.backend,
        )
        if (chosen.length === 0) throw new CliError(`there is no storage backend ${flags.backend}`)
        const options = {
          repair: flags.repair,
          minAge: config.minObjectTimeout + config.uploadUrlTimeout,
          storagePath: config.storagePath,
        }
        const report = flags.json ? jsonReport() : tableReport()
        for (const backend of chosen) {
          const counts = noCounts()
          for await (const finding of reconcile(stores, backend, options, counts)) report.add(finding)
          say(summary(backend.info.label ?? backend.info.id, counts))
        }
        report.end()
        if (flags.repair) await removeQueuedMedia(stores)
        if (report.left() > 0) throw new CliError(`${report.left()} findings are left`)
      } finally {
        await stores.close()
      }
    })
}

interface Report {
  add(finding: Finding): void
  end(): void
  /** Findings that were not put right. */
  left(): number
}

const isLeft = ({ repaired, marked }: Finding): boolean => repaired === undefined && !marked

const jsonReport = (): Report => {
  let left = 0
  return {
    add(finding) {
      if (isLeft(finding)) left++
      console.log(JSON.stringify(finding))
    },
    end() {},
    left: () => left,
  }
}

const tableReport = (): Report => {
  const rows: (readonly string[])[] = []
  let [found, left] = [0, 0]
  return {
    add(finding) {
      found++
      if (isLeft(finding)) left++
      if (rows.length < TABLE_ROWS) rows.push(cells(finding))
    },
    end() {
      if (found === 0) return
      console.log(formatTable(['finding', 'done', 'object', 'recorded', 'bytes', 'key'], rows))
      if (found > rows.length) console.log(`and ${found - rows.length} more; --json shows all`)
    },
    left: () => left,
  }
}

const cells = ({ kind, repaired, marked, object_id, recorded_size, size, key }: Finding): readonly string[] => [
  kind,
  repaired ?? (marked ? 'marked before' : '-'),
  object_id ?? '-',
  String(recorded_size ?? '-'),
  String(size ?? '-'),
  key,
]

const summary = (name: string, { listed, records, foreign, young }: Counts): string =>
  `${name}: ${listed} objects and ${records} records compared${foreign > 0 ? `, ${foreign} objects are not ours` : ''}${young > 0 ? `, ${young} differences are too young to tell` : ''}`
