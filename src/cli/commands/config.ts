import type { Command } from 'commander'
import { describeConfig, readConfig } from '../../config.ts'

const EXAMPLES = `
Secrets are masked. A variable with a bad value is named and gives exit code 1.

Examples:
  tams config
  PORT=9000 tams config`

export const configCommand = (program: Command): void => {
  program
    .command('config')
    .description('print the configuration that the environment gives')
    .addHelpText('after', EXAMPLES)
    .action(() => {
      console.log(describeConfig(readConfig(process.env)))
    })
}
