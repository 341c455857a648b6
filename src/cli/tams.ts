#!/usr/bin/env bun
import { Command, CommanderError } from 'commander'
import { CliError, EXIT, explain, say } from './cli-error.ts'
import { backupCommand, restoreCommand } from './commands/backup.ts'
import { configCommand } from './commands/config.ts'
import { doctorCommand } from './commands/doctor.ts'
import { exportCommand } from './commands/export.ts'
import { ingestCommand } from './commands/ingest.ts'
import { lsCommand } from './commands/ls.ts'
import { migrateCommand } from './commands/migrate.ts'
import { openapiCommand } from './commands/openapi.ts'
import { purgeCommand } from './commands/purge.ts'
import { reconcileCommand } from './commands/reconcile.ts'
import { resetCommand } from './commands/reset.ts'
import { seedCommand } from './commands/seed.ts'
import { serveCommand } from './commands/serve.ts'
import { storageCommand } from './commands/storage.ts'
import { tablesCommand } from './commands/tables.ts'
import { tailCommand } from './commands/tail.ts'
import { tokensCommand } from './commands/tokens.ts'
import { usersCommand } from './commands/users.ts'

const HELP = `
Results go to stdout, messages to stderr. Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.`

/** Runs one command line (without the program's name) and gives its exit code. */
export const main = async (args: readonly string[]): Promise<number> => {
  const program = new Command('tams').description('A Time-addressable Media Store: the service and its tools').addHelpText('after', HELP)
  program.exitOverride().showHelpAfterError('(--help says more)')
  for (const add of [
    serveCommand,
    ingestCommand,
    exportCommand,
    lsCommand,
    tailCommand,
    usersCommand,
    tokensCommand,
    seedCommand,
    storageCommand,
    purgeCommand,
    reconcileCommand,
    migrateCommand,
    backupCommand,
    restoreCommand,
    resetCommand,
    doctorCommand,
    tablesCommand,
    configCommand,
    openapiCommand,
  ])
    add(program)
  for (const command of allBelow(program)) command.exitOverride()
  try {
    await program.parseAsync(args, { from: 'user' })
    return EXIT.ok
  } catch (error) {
    if (isBrokenPipe(error)) return EXIT.ok
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    say(`tams: ${explain(error)}`)
    return error instanceof CliError ? error.exitCode : EXIT.failure
  }
}

const allBelow = ({ commands }: Command): Command[] => commands.flatMap((command) => [command, ...allBelow(command)])

// The reader has seen enough: `tams ls | head`.
const isBrokenPipe = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'EPIPE'

if (import.meta.main) process.stdout.on('error', (error) => process.exit(isBrokenPipe(error) ? EXIT.ok : EXIT.failure))
if (import.meta.main) process.exitCode = await main(process.argv.slice(2))
