import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import type { S3Backend } from '../../open-media.ts'
import { CliError, explain, say } from '../cli-error.ts'

interface Flags {
  readonly backend?: string
  readonly check: boolean
}

const EXAMPLES = `
Pages in a browser upload to and play from the buckets directly, so that each bucket has to allow their origins (CORS_ORIGINS). The
rules replace those that a bucket has. A server without such rules, like MinIO, is asked whether it allows the origins anyway.

Examples:
  tams storage cors
  CORS_ORIGINS=https://player.example.com tams storage cors
  tams storage cors --check`

export const storageCommand = (program: Command): void => {
  program
    .command('storage')
    .description('look after the storage backends')
    .addHelpText('after', EXAMPLES)
    .command('cors')
    .description('let browsers use the S3 buckets that the environment names')
    .option('--backend <id>', 'only this storage backend: its id or label')
    .option('--check', 'change nothing, only say whether browsers may', false)
    .addHelpText('after', EXAMPLES)
    .action(async ({ backend, check }: Flags) => {
      const config = readConfig(process.env)
      const { openS3Backends } = await import('../../open-media.ts')
      const { systemClock } = await import('../../core/clock.ts')
      const all = await openS3Backends(config, systemClock())
      const chosen = all.filter(({ info }) => backend === undefined || info.id === backend || info.label === backend)
      if (chosen.length === 0)
        throw new CliError(backend === undefined ? 'no S3 storage backend is configured' : `there is no S3 storage backend ${backend}`)
      let refused = 0
      for (const each of chosen) if (!(await allow(each, config.corsOrigins, check))) refused++
      if (refused > 0) throw new CliError(`${refused} of ${chosen.length} buckets cannot be used from a browser`)
    })
}

/** Whether browsers may use the bucket in the end. */
const allow = async ({ info, store }: S3Backend, origins: '*' | readonly string[], check: boolean): Promise<boolean> => {
  const name = info.label ?? info.id
  const whose = origins === '*' ? 'any origin' : origins.join(', ')
  if (!check) {
    try {
      await store.setCors(origins)
      say(`${name}: CORS rules set for ${whose}`)
    } catch (error) {
      // Perhaps none are needed: the question below decides.
      say(`${name}: ${explain(error)}`)
    }
  }
  const refused = await store.findRefusedPreflight(origins)
  console.log(refused === undefined ? `${name}: browsers may use it from ${whose}` : `${name}: refuses ${refused} to browsers`)
  return refused === undefined
}
