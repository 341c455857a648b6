import { basename } from 'node:path'
import { type Command, Option } from 'commander'
import { CliError } from '../cli-error.ts'
import { connect, type ServiceFlags } from '../connection.ts'
import { type IngestedFlow, ingest } from '../ingest/run.ts'
import type { Container } from '../media/essence.ts'
import { parseDecimal, rational } from '../media/rational.ts'
import { collectTag, parseCount, parseId, parseSeconds, parseStart, withUrl } from '../options.ts'
import { formatTable } from '../table.ts'
import type { TagValues } from '../tams-types.ts'
import { withWorkDir } from '../work-dir.ts'

interface Flags extends ServiceFlags {
  readonly label?: string
  readonly segmentSeconds: string
  readonly container: Container
  readonly muxed: boolean
  readonly transcode: boolean
  readonly flowId?: string
  readonly sourceId?: string
  readonly start: bigint
  readonly concurrency: number
  readonly tag: TagValues
  readonly json: boolean
}

const EXAMPLES = `
Each video and audio stream becomes a flow of segments, and a multi flow collects them; with --muxed the segments belong to the
multi flow and hold all streams. Nothing is encoded: segments begin at the key frames nearest to multiples of --segment-seconds.
Run the same command again after an interruption: the ids follow from the file, and it goes on where it stopped. The start of the
first video stream is put at --start.

--container mpegts (H.264, H.265, MPEG video; AAC, MP2, MP3, AC-3) makes MPEG-TS segments. --container fmp4 (those and AV1, VP9,
Opus, FLAC, ALAC) makes fragmented MP4: one initialisation object for each flow and segments that refer to it. The same file in
both containers gives different flows of the same sources.

Examples:
  tams ingest holiday.mp4
  tams ingest match.mxf --transcode --label 'Match 12' --tag venue=Leeds --tag input_quality=contribution
  tams ingest holiday.mp4 --container fmp4 --segment-seconds 4
  tams ingest news.ts --muxed --start 1700000000:0 --url https://tams.example.com --json`

export const ingestCommand = (program: Command): void => {
  withUrl(program.command('ingest <file>').description('put a media file into a store'))
    .option('--label <text>', 'label of the flow (default: name of the file)')
    .option('--segment-seconds <seconds>', 'wanted length of a segment', parseSeconds, '2')
    .addOption(new Option('--container <name>', 'container of the segments').choices(['mpegts', 'fmp4']).default('mpegts'))
    .option('--muxed', 'all streams in each segment', false)
    .option('--transcode', 'encode streams that the container cannot carry (H.264, AAC)', false)
    .option('--flow-id <uuid>', 'id of the flow that stands for the file', parseId)
    .option('--source-id <uuid>', 'id of its source', parseId)
    .addOption(new Option('--start <timestamp>', 'where on the timeline').argParser(parseStart).default(0n, '0:0'))
    .option('--concurrency <n>', 'uploads side by side', parseCount, 4)
    .option('--tag <name=value>', 'tag of the flows; repeat for more', collectTag, {})
    .option('--json', 'print the flows as JSON', false)
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, flags: Flags) => {
      if (!(await Bun.file(file).exists())) throw new CliError(`${file} does not exist`)
      const client = connect(flags)
      const options = {
        ...flags,
        file,
        label: flags.label ?? basename(file),
        tags: flags.tag,
        segmentSeconds: parseDecimal(flags.segmentSeconds) ?? rational(2),
        segmentSecondsText: flags.segmentSeconds,
        startNs: flags.start,
      }
      const flows = await withWorkDir((dir) => ingest(client, options, dir))
      console.log(flags.json ? JSON.stringify({ flows }, undefined, 2) : describe(flows))
    })
}

const describe = (flows: readonly IngestedFlow[]): string =>
  formatTable(
    ['FLOW', 'FORMAT', 'CODEC', 'SEGMENTS', 'NEW', 'TIMERANGE', 'LABEL'],
    flows.map((flow) => [
      flow.id,
      flow.format.slice(flow.format.lastIndexOf(':') + 1),
      flow.codec ?? '',
      String(flow.segments),
      String(flow.uploaded),
      flow.segments === 0 ? '' : flow.timerange,
      flow.label ?? '',
    ]),
  )
