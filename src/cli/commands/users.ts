import type { Command } from 'commander'
import { readAuthLog } from '../../domain/auth-log.ts'
import type { Scope } from '../../domain/scope.ts'
import { userUseCases } from '../../domain/user.ts'
import { say } from '../cli-error.ts'
import { everyPage } from '../every-page.ts'
import { parseCount, withScopes } from '../options.ts'
import { readPassword } from '../password.ts'
import { operator, withStore } from '../store.ts'
import { formatTable } from '../table.ts'

const EXAMPLES = `
Users log in with a name and a password (HTTP Basic). They are kept in the store that the environment names (see "tams config"); a
service may be running on it. A password is typed unseen, or is the first line of standard input.

Scopes: read, write (flows, segments, storage), delete (flows, segments), admin (everything).

Examples:
  tams users add ann --scope read --scope write
  tams users add robot --scope read < password.txt
  tams users disable ann
  tams users log`

const change = async (name: string, body: object): Promise<void> => {
  await withStore((deps) => userUseCases(deps).update(operator(), name, () => body))
}

export const usersCommand = (program: Command): void => {
  const users = program.command('users').description('who may log in with a password').addHelpText('after', EXAMPLES)
  withScopes(users.command('add <name>').description('register a user')).action(async (name: string, { scope }: { scope: Scope[] }) => {
    const password = await readPassword(name)
    await withStore((deps) => userUseCases(deps).create(operator(), { name, password, scopes: scope }))
    say(`${name} may log in. A service that runs without authentication asks for it from its next start on.`)
  })
  users
    .command('list')
    .description('list the users')
    .option('--json', 'print JSON', false)
    .action(async ({ json }: { json: boolean }) => {
      const found = await withStore((deps) => everyPage((page) => userUseCases(deps).list(operator(), page)))
      const rows = found.map((user) => [user.name, user.scopes.join(' '), user.disabled ? 'disabled' : '', user.created])
      console.log(json ? JSON.stringify(found, undefined, 2) : formatTable(['NAME', 'SCOPES', '', 'CREATED'], rows))
    })
  withScopes(users.command('scopes <name>').description('change what a user may do')).action(
    (name: string, { scope }: { scope: Scope[] }) => change(name, { scopes: scope }),
  )
  users
    .command('disable <name>')
    .description('refuse a user, and disable the webhooks of that user')
    .action((name: string) => change(name, { disabled: true }))
  users
    .command('enable <name>')
    .description('let a user log in again')
    .action((name: string) => change(name, { disabled: false }))
  users
    .command('passwd <name>')
    .description('change a password')
    .action(async (name: string) => change(name, { password: await readPassword(name) }))
  users
    .command('remove <name>')
    .description('remove a user and the tokens that stand for the user')
    .action((name: string) => withStore((deps) => userUseCases(deps).remove(operator(), name)))
  users
    .command('log')
    .description('who logged in, and who failed to; newest first')
    .option('--limit <n>', 'at most so many lines', parseCount, 100)
    .option('--json', 'print JSON', false)
    .action(async ({ limit, json }: { limit: number; json: boolean }) => {
      const lines = await withStore(({ tables }) => readAuthLog(tables, limit))
      const rows = lines.map((line) => [
        line.time,
        line.outcome,
        line.method,
        line.principal || '-',
        line.address || 'many',
        String(line.count),
      ])
      const titles = ['TIME', 'OUTCOME', 'METHOD', 'WHO', 'FROM', 'TIMES']
      console.log(json ? JSON.stringify(lines, undefined, 2) : formatTable(titles, rows))
    })
}
