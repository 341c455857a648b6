import type { Command } from 'commander'
import packageJson from '../../../package.json' with { type: 'json' }
import { readConfig } from '../../config.ts'

const EXAMPLES = `
The document that a service with this configuration has at /openapi.json. No store is opened, and no service has to run.

Examples:
  tams openapi > openapi.json
  BASE_PATH=/x-tams/v8.2 tams openapi`

export const openapiCommand = (program: Command): void => {
  program
    .command('openapi')
    .description('print the OpenAPI document')
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      const { basePath, strict } = readConfig(process.env)
      // Loaded only here: the other commands need nothing of the API.
      const { openApiDocument } = await import('../../../api/openapi/document.ts')
      console.log(JSON.stringify(openApiDocument({ version: packageJson.version, basePath, strict }), undefined, 2))
    })
}
