import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import { systemClock } from '../../core/clock.ts'
import type { Finding } from '../../domain/integrity/index.ts'
import { CliError, say } from '../cli-error.ts'
import { formatTable } from '../table.ts'

interface Flags {
  readonly data: boolean
  readonly repair: boolean
  readonly json: boolean
}

const EXAMPLES = `
Looks at the configuration, tries every store that it names, and measures how quick they are. --data looks at every rule by which the
tables agree with one another, in bounded memory, beside a running service; --repair puts right what can be put right without a
decision of yours. Media and their records are compared by "tams reconcile". The exit code is 1 while something is left to do.

Examples:
  tams doctor
  tams doctor --data
  tams doctor --data --repair --json`

export const doctorCommand = (program: Command): void => {
  program
    .command('doctor')
    .description('find out what is wrong, and what to do about it')
    .option('--data', 'look at the rows of the store too', false)
    .option('--repair', 'with --data: put right what is safe to put right', false)
    .option('--json', 'print one line of JSON for each thing that was looked at or found', false)
    .addHelpText('after', EXAMPLES)
    .action(async (flags: Flags) => {
      const failed = await examineStores(flags)
      const left = flags.data && failed === 0 ? await examineData(flags) : 0
      if (failed + left > 0) throw new CliError(`${failed + left} things are left to do`)
    })
}

const MARK = { ok: 'ok', warning: 'look', error: 'FAIL' } as const

const examineStores = async ({ json }: Flags): Promise<number> => {
  const { examine } = await import('../../open-doctor.ts')
  let failed = 0
  const rows: string[][] = []
  for await (const diagnosis of examine(process.env)) {
    if (diagnosis.state === 'error') failed++
    if (json) console.log(JSON.stringify(diagnosis))
    else rows.push([MARK[diagnosis.state], diagnosis.area, diagnosis.message, diagnosis.advice ?? ''])
  }
  if (!json) console.log(formatTable(['', 'area', 'found', 'what to do'], rows))
  return failed
}

/** Rows of the table; a broken store has more, which `--json` shows. */
const TABLE_ROWS = 200

const examineData = async ({ json, repair }: Flags): Promise<number> => {
  const { damageOf } = await import('../../open-doctor.ts')
  const { openTables } = await import('../../open-stores.ts')
  const { checkIntegrity, repairFinding, REMEDIES } = await import('../../domain/integrity/index.ts')
  const rows: string[][] = []
  let [found, left] = [0, 0]
  const tell = (finding: Omit<Finding, 'repair' | 'rule'> & { readonly rule: string }, remedy: string, repaired: boolean) => {
    found++
    if (!repaired && finding.severity === 'fault') left++
    if (json) console.log(JSON.stringify({ ...finding, repaired, remedy }))
    else if (rows.length < TABLE_ROWS) rows.push([finding.rule, finding.subject, finding.problem, repaired ? 'repaired' : remedy])
  }
  for (const problem of damageOf(process.env))
    tell({ rule: 'file', severity: 'fault', subject: 'tams.sqlite', problem }, 'Restore a backup: "tams restore"', false)
  const clock = systemClock()
  const { tables } = await openTables(readConfig(process.env), clock)
  const deps = { tables, clock }
  try {
    for await (const finding of checkIntegrity(deps, (what) => say(`looking at ${what}`))) {
      const repaired = repair && (await repairFinding(deps, finding))
      const { repair: _, ...told } = finding
      tell(told, REMEDIES[finding.rule], repaired)
    }
  } finally {
    await tables.close()
  }
  if (!json && rows.length > 0) console.log(formatTable(['rule', 'where', 'found', 'what to do'], rows))
  if (found > rows.length && !json) console.log(`and ${found - rows.length} more; --json shows all`)
  say(found === 0 ? 'every rule holds' : `${found} findings, ${left} of them faults that are left`)
  return left
}
