import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import { CliError, say } from '../cli-error.ts'
import { formatTable } from '../table.ts'

interface Flags {
  readonly yes: boolean
  readonly json: boolean
}

const EXAMPLES = `
Empties the store that the environment names: every table, users and tokens among them, and all media below TAMS_STORAGE_PATH in every
backend. Without --yes it only says what that is. Refused while a service holds the store.

Examples:
  tams reset
  tams backup ./before && tams reset --yes`

export const resetCommand = (program: Command): void => {
  program
    .command('reset')
    .description('empty tables and media')
    .option('--yes', 'do it', false)
    .option('--json', 'print what there is as JSON', false)
    .addHelpText('after', EXAMPLES)
    .action(async ({ yes, json }: Flags) => {
      const { openForReset } = await import('../../open-reset.ts')
      const { contentsOf, reset } = await import('../../workers/reset.ts')
      const config = readConfig(process.env)
      const opened = await openForReset(config)
      if (!opened) throw new CliError(`TAMS_DATA_DIR: there is no embedded store in ${config.dataDir}`)
      try {
        const { rows, media } = await contentsOf(opened)
        if (json) console.log(JSON.stringify({ rows: Object.fromEntries(rows), media }, undefined, 2))
        else {
          console.log(
            formatTable(
              ['table', 'rows'],
              Array.from(rows, ([table, count]) => [table, String(count)]),
            ),
          )
          console.log(
            formatTable(
              ['storage backend', 'objects', 'bytes'],
              media.map(({ backend, objects, bytes }) => [backend, String(objects), String(bytes)]),
            ),
          )
        }
        if (!yes) return say('Nothing was changed: --yes does it')
        await reset(opened, (what) => say(`emptying ${what}`))
        say('Done: the store is empty')
      } finally {
        await opened.close()
      }
    })
}
