import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import type { MediaResult, MigrationResult, Step } from '../../workers/migration/index.ts'
import { say } from '../cli-error.ts'
import { formatTable } from '../table.ts'

interface Flags {
  readonly release: boolean
  readonly json: boolean
}

const EXAMPLES = `
Moves the embedded store in TAMS_DATA_DIR to the VAST Database (VAST_*) and the media backends (S3_* or STORAGE_CONFIG) that the
environment names. The service on the embedded store goes on meanwhile: first everything is copied as it is, then the store is frozen
(reads go on, writes are answered 503), what has changed is copied, and every row and byte is compared. Broken off, the same command
goes on where it was. Then start the service with the new environment. docs/MIGRATION.md has the details.

--release lets the embedded store take changes again, whether or not the migration has ended.

Examples:
  VAST_ENDPOINT=… S3_BUCKET_NAME=… tams migrate
  tams migrate --release`

export const migrateCommand = (program: Command): void => {
  program
    .command('migrate')
    .description('move the embedded store to VAST and S3')
    .option('--release', 'let the embedded store take changes again', false)
    .option('--json', 'print the result as JSON', false)
    .addHelpText('after', EXAMPLES)
    .action(async ({ release, json }: Flags) => {
      const config = readConfig(process.env)
      // Loaded only here: the other commands need no store.
      const { openEmbedded, openMigration } = await import('../../open-migration.ts')
      const { releaseSource, runMigration } = await import('../../workers/migration/index.ts')
      if (release) {
        const source = await openEmbedded(config)
        await releaseSource(source).finally(() => source.close())
        say('The embedded store takes changes again. Empty the target before another migration')
        return
      }
      const migration = await openMigration(config)
      const stopping = new AbortController()
      const stop = () => stopping.abort(new Error('interrupted; the same command goes on from here'))
      process.once('SIGINT', stop)
      try {
        say(migration.into ? `Media go to ${migration.into.info.label ?? migration.into.info.id}` : 'Media stay where they are')
        const result = await runMigration(migration, { signal: stopping.signal, onStep: sayStep, onMedia: sayMedia() })
        console.log(json ? JSON.stringify(result, undefined, 2) : report(result))
        say('Done: every row and byte is compared. The embedded store stays frozen; start the service with this environment')
      } finally {
        process.off('SIGINT', stop)
        await migration.close()
      }
    })
}

const STEPS: Readonly<Record<Step, string>> = {
  media: 'Copying media',
  tables: 'Copying tables',
  freeze: 'Freezing the embedded store: reads go on, writes are refused',
  verify: 'Comparing',
}

const sayStep = (step: Step, frozen: boolean): void =>
  say(`${STEPS[step]}${frozen && (step === 'media' || step === 'tables') ? ': what has changed since' : ''}`)

const SAY_EVERY_MS = 5000

const sayMedia = (): ((result: Readonly<MediaResult>) => void) => {
  let saidAt = performance.now()
  return ({ copied, bytes }) => {
    if (performance.now() - saidAt < SAY_EVERY_MS) return
    saidAt = performance.now()
    say(`  ${copied} objects, ${(bytes / 1e6).toFixed(1)} MB`)
  }
}

const report = ({ media, tables }: MigrationResult): string => {
  const rows = tables.filter((each) => each.rows > 0).map((each) => [each.table, String(each.rows), each.found])
  const without = media.without > 0 ? `; ${media.without} records have no bytes` : ''
  return `${formatTable(['table', 'rows', 'checksum'], rows)}\n${media.copied} objects with ${media.bytes} bytes copied in this run${without}`
}
