import type { Command } from 'commander'
import { CliError, say, usage } from '../cli-error.ts'
import { connect, type ServiceFlags } from '../connection.ts'
import { exportFlow, muxerFor } from '../export/run.ts'
import { parseCount, parseId, parseTimeRange, withUrl } from '../options.ts'
import { withWorkDir } from '../work-dir.ts'

interface Flags extends ServiceFlags {
  readonly timerange: string
  readonly concurrency: number
  readonly force: boolean
}

const EXAMPLES = `
The extension of FILE says what is written: .ts, .mp4, .mkv or .mov. Nothing is encoded. A flow without segments of its own gives
the flows that it collects, together in one file. --timerange takes whole segments: those that overlap it. The segments have to be
MPEG-TS or fragmented MP4 (with initialisation objects), all of them the same.

Examples:
  tams export 4f79cfd1-c057-47f4-8e4d-1b126ca7bf34 programme.mp4
  tams export 4f79cfd1-c057-47f4-8e4d-1b126ca7bf34 --timerange '[10:0_20:0)' clip.ts`

export const exportCommand = (program: Command): void => {
  withUrl(program.command('export <flow> <file>').description('write a flow into a media file'))
    .option('--timerange <range>', 'part of the timeline', parseTimeRange, '_')
    .option('--concurrency <n>', 'downloads side by side', parseCount, 4)
    .option('--force', 'replace the file if there is one', false)
    .addHelpText('after', EXAMPLES)
    .action(async (flow: string, file: string, flags: Flags) => {
      try {
        parseId(flow)
      } catch {
        throw usage(`${flow} is not the id of a flow (a lower-case UUID)`)
      }
      muxerFor(file)
      if (!flags.force && (await Bun.file(file).exists())) throw new CliError(`${file} is there already; --force replaces it`)
      const client = connect(flags)
      const result = await withWorkDir((dir) => exportFlow(client, { ...flags, flowId: flow, file }, dir))
      say(`${file}: ${result.timerange}, ${result.segments} segments of ${result.flows.length} flow${result.flows.length === 1 ? '' : 's'}`)
    })
}
