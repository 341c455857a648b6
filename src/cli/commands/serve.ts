import type { Command } from 'commander'
import { readConfig } from '../../config.ts'

const EXAMPLES = `
Configured by environment variables: see "tams config" and .env.example. SIGTERM or SIGINT ends it once the requests in progress
are answered.

Examples:
  tams serve
  PORT=9000 TAMS_DATA_DIR=/srv/tams tams serve`

export const serveCommand = (program: Command): void => {
  program
    .command('serve')
    .description('run the service')
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      const config = readConfig(process.env)
      // Loaded only here: the other commands need nothing of the server.
      const { serve } = await import('../../../api/server.ts')
      await serve(config)
    })
}
