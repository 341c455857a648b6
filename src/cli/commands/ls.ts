import { type Command, Option } from 'commander'
import { CliError } from '../cli-error.ts'
import { connect, type ServiceFlags } from '../connection.ts'
import { type ListFlags, listing } from '../listing.ts'
import { collectTag, parseCount, parseTimeRange, withUrl } from '../options.ts'
import { formatTable } from '../table.ts'

type Flags = ListFlags & ServiceFlags & { readonly json: boolean }

const EXAMPLES = `
Examples:
  tams ls flows --format video --tag venue=Leeds
  tams ls flows --timerange '[1700000000:0_1700003600:0)' --json
  tams ls segments 4f79cfd1-c057-47f4-8e4d-1b126ca7bf34 --timerange '[10:0_20:0)'
  tams ls objects 064d0a5b6f0d3e8a61f5c1f2a9b7d3e4`

export const lsCommand = (program: Command): void => {
  const ls = program.command('ls').description('list sources, flows, segments or an object').addHelpText('after', EXAMPLES)
  filtered(ls.command('sources').description('list sources')).action((flags: Flags) => print(flags, 'sources', ''))
  filtered(ls.command('flows', { isDefault: true }).description('list flows (what "ls" alone does)'))
    .option('--timerange <range>', 'only flows with content there', parseTimeRange)
    .action((flags: Flags) => print(flags, 'flows', ''))
  common(ls.command('segments <flow>').description('list the segments of a flow'))
    .option('--timerange <range>', 'only segments that overlap it', parseTimeRange)
    .action((flow: string, flags: Flags) => print(flags, 'segments', flow))
  common(ls.command('objects <id>').description('show a media object')).action((id: string, flags: Flags) => print(flags, 'objects', id))
}

const common = (command: Command): Command =>
  withUrl(command)
    .option('--limit <n>', 'at most so many', parseCount, 1000)
    .option('--json', 'print JSON', false)
    .addHelpText('after', EXAMPLES)

const filtered = (command: Command): Command =>
  common(command)
    .option('--tag <name=value>', 'only with this tag value; repeat for more', collectTag, {})
    .option('--label <text>', 'only with this label')
    .addOption(format())

const format = () => new Option('--format <format>', 'only of this format').choices(['video', 'audio', 'image', 'data', 'multi'])

const print = async (flags: Flags, kind: keyof typeof listing, id: string): Promise<void> => {
  const { titles, shown } = listing[kind](connect(flags), flags, id)
  const items: unknown[] = []
  const rows: (readonly string[])[] = []
  for await (const { item, cells } of shown) {
    items.push(item)
    rows.push(cells)
    if (items.length >= flags.limit) break
  }
  if (kind === 'objects' && items.length === 0) throw new CliError(`object ${id} does not exist`)
  console.log(flags.json ? JSON.stringify(items, undefined, 2) : formatTable(titles, rows))
}
