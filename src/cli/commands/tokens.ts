import { type Command, InvalidArgumentError } from 'commander'
import type { Scope } from '../../domain/scope.ts'
import { type Token, tokenUseCases } from '../../domain/token.ts'
import { say } from '../cli-error.ts'
import { everyPage } from '../every-page.ts'
import { withScopes } from '../options.ts'
import { operator, withStore } from '../store.ts'
import { formatTable } from '../table.ts'

interface Flags {
  readonly scope: Scope[]
  readonly user?: string
  readonly days?: number
}

const EXAMPLES = `
Programs log in with a token: "Authorization: Bearer TOKEN", or ?access_token=TOKEN where there is no header. It is printed once; only
its hash is stored. With --user it stands for that user and has no scope that the user has not.

Examples:
  tams tokens create 'nightly ingest' --scope read --scope write --days 90
  TAMS_TOKEN=$(tams tokens create laptop --scope read --user ann) tams ls flows
  tams tokens list
  tams tokens revoke 00064c02d1a9f3e85b0c7a4c1d9e2f60`

export const tokensCommand = (program: Command): void => {
  const tokens = program.command('tokens').description('what programs log in with').addHelpText('after', EXAMPLES)
  withScopes(tokens.command('create <name>').description('make a token and print it'))
    .option('--user <name>', 'the user it stands for')
    .option('--days <n>', 'days until it expires (default: it does not)', parseDays)
    .action(async (name: string, { scope, user, days }: Flags) => {
      const made = await withStore((deps) => {
        const nowMs = Number(deps.clock.nowUs() / 1000n)
        const expires = days === undefined ? {} : { expires: new Date(nowMs + days * 86_400_000).toISOString() }
        const body = { name, scopes: scope, ...expires, ...(user !== undefined && { user_name: user }) }
        return tokenUseCases(deps).create(operator(), body)
      })
      console.log(made.token)
      say(`Token ${made.id}. A service that runs without authentication asks for it from its next start on.`)
    })
  tokens
    .command('list')
    .description('list the tokens, without their secrets')
    .option('--json', 'print JSON', false)
    .action(async ({ json }: { json: boolean }) => {
      const { found, now } = await withStore(async (deps) => ({
        found: await everyPage((page) => tokenUseCases(deps).list(operator(), page)),
        now: new Date(Number(deps.clock.nowUs() / 1000n)).toISOString(),
      }))
      const rows = found.map((token) => [
        token.id,
        token.name,
        token.user_name ?? '',
        token.scopes.join(' '),
        state(token, now),
        token.last_used ?? 'never used',
      ])
      console.log(json ? JSON.stringify(found, undefined, 2) : formatTable(['ID', 'NAME', 'USER', 'SCOPES', 'STATE', 'LAST USED'], rows))
    })
  tokens
    .command('revoke <id>')
    .description('refuse a token from now on')
    .action((id: string) => withStore((deps) => tokenUseCases(deps).revoke(operator(), id)))
}

// Times in UTC and of the same form: their texts compare as they do.
const state = ({ revoked, expires }: Token, now: string): string =>
  revoked ? 'revoked' : expires === undefined ? 'valid' : expires <= now ? 'expired' : `until ${expires.slice(0, 10)}`

const parseDays = (text: string): number => {
  const days = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (days >= 1) return days
  throw new InvalidArgumentError('It has to be a whole number of days from 1.')
}
