import { type Command, InvalidArgumentError } from 'commander'
import { readConfig } from '../../config.ts'
import { systemClock } from '../../core/clock.ts'
import { CliError, say } from '../cli-error.ts'
import { parseCount } from '../options.ts'
import { showProgress } from '../progress.ts'
import { planNextSet } from '../seed/next-set.ts'
import { seedRows } from '../seed/rows.ts'
import { writeSeed } from '../seed/write.ts'

interface Flags {
  readonly flows: number
  readonly segments: number
  readonly sources?: number
  readonly days: number
  readonly seed: string
  readonly until?: bigint
  readonly batch: number
  readonly segmentsPerObject: number
}

const EXAMPLES = `
Writes into the store that the environment names (see "tams config"), not through a service; one may be running. There are no
media behind the objects. The same options, --seed and --until give the same data on an empty store; each further run adds a set of
other data and names the --seed of which it is.

Examples:
  tams seed --flows 100 --segments 10000
  TAMS_DATA_DIR=/tmp/bench tams seed --flows 1 --segments 1000000 --days 7
  tams seed --flows 5000 --segments 2000000 --sources 1000 --seed 42 --until 2026-11-21T00:00:00Z`

export const seedCommand = (program: Command): void => {
  program
    .command('seed')
    .description('fill the store with synthetic metadata')
    .requiredOption('--flows <n>', 'flows in all', parseCount)
    .requiredOption('--segments <n>', 'segments in all flows together', parseCount)
    .option('--sources <n>', 'sources in all (default: one for two flows)', parseCount)
    .option('--days <n>', 'creation times are spread over so many days', parseCount, 30)
    .option('--seed <text>', 'other data for each text', '1')
    .option('--until <date-time>', 'latest creation time (default: now)', parseInstant)
    .option('--segments-per-object <n>', 'segments that are parts of one object', parseCount, 1)
    .option('--batch <n>', 'segments in one transaction', parseCount, 1000)
    .addHelpText('after', EXAMPLES)
    .action(async (flags: Flags) => {
      const config = readConfig(process.env)
      const options = { ...flags, sources: flags.sources ?? Math.ceil(flags.flows / 2), untilUs: flags.until ?? systemClock().nowUs() }
      // Loaded only here: the other commands need no store.
      const { openStores } = await import('../../open-stores.ts')
      const { tables, backends, close } = await openStores(config)
      try {
        const backend = backends.find(({ info }) => info.default_storage) ?? backends[0]
        if (!backend) throw new CliError('the configuration names no storage backend')
        const { seed, flows } = await planNextSet(tables, options)
        const rowOptions = { ...options, seed, storageId: backend.info.id, storagePath: config.storagePath, batchSize: flags.batch }
        const progress = showProgress('seed', flags.segments)
        const began = performance.now()
        await writeSeed(tables, seedRows(flows, rowOptions), (segments) => progress.update(segments, 0))
        progress.stop()
        const seconds = (performance.now() - began) / 1000
        const rate = Math.round(flags.segments / seconds)
        say(`${flows.length} flows and ${flags.segments} segments in ${seconds.toFixed(1)} s, ${rate} segments/s (--seed ${seed})`)
      } finally {
        await close()
      }
    })
}

const parseInstant = (text: string): bigint => {
  const ms = Date.parse(text)
  if (Number.isFinite(ms)) return BigInt(ms) * 1000n
  throw new InvalidArgumentError('It has to be a date and time such as 2026-11-21T00:00:00Z.')
}
