import type { Command } from 'commander'
import { connectionOf, type ServiceFlags } from '../connection.ts'
import { followEvents, type StreamedLine } from '../event-stream.ts'
import { parseId, withUrl } from '../options.ts'

const EXAMPLES = `
Prints events as they happen, one line each, until it is interrupted; a lost connection is made again, without a gap.

Examples:
  tams tail
  tams tail --type flows/segments_added --flow 4f79cfd1-c057-47f4-8e4d-1b126ca7bf34
  tams tail --after 0 --json | jq .event_type`

interface Flags extends ServiceFlags {
  readonly type?: string
  readonly flow?: string
  readonly source?: string
  readonly after?: string
  readonly json: boolean
}

export const tailCommand = (program: Command): void => {
  withUrl(program.command('tail').description('show events as they happen'))
    .option('--type <types>', 'only events of these types, with commas between them')
    .option('--flow <id>', 'only events of this flow', parseId)
    .option('--source <id>', 'only events of this source and its flows', parseId)
    .option('--after <id>', 'begin behind this event; 0 for all that are stored')
    .option('--json', 'print the whole messages', false)
    .addHelpText('after', EXAMPLES)
    .action(async ({ after, json, ...flags }: Flags) => {
      const { url, authorization } = connectionOf(flags)
      for await (const line of followEvents(streamUrl(url, flags), { authorization, ...(after !== undefined && { after }) }))
        console.log(json ? line.data : summary(line))
    })
}

export const streamUrl = (url: string, filter: { readonly type?: string; readonly flow?: string; readonly source?: string }): string => {
  const query = new URLSearchParams({ accept_get_urls: '' })
  if (filter.type !== undefined) query.set('type', filter.type)
  if (filter.flow !== undefined) query.set('flow_id', filter.flow)
  if (filter.source !== undefined) query.set('source_id', filter.source)
  return `${url.replace(/\/+$/, '')}/events/stream?${query}`
}

/** Number, time, type, and what it is about. */
export const summary = ({ id, type, data }: StreamedLine): string => {
  const { event_timestamp: time, event } = JSON.parse(data) as { readonly event_timestamp: string; readonly event: Content }
  const subject = event.flow?.id ?? event.source?.id ?? event.flow_id ?? event.source_id ?? ''
  const detail = event.flow?.label ?? event.source?.label ?? event.timerange ?? segmentsText(event.segments) ?? ''
  return [id, time, type, subject, detail].join('  ').trimEnd()
}

interface Content {
  readonly flow?: { readonly id: string; readonly label?: string }
  readonly source?: { readonly id: string; readonly label?: string }
  readonly flow_id?: string
  readonly source_id?: string
  readonly timerange?: string
  readonly segments?: readonly { readonly timerange: string }[]
}

const segmentsText = (segments: Content['segments']): string | undefined =>
  segments && (segments.length === 1 ? segments[0]?.timerange : `${segments.length} segments from ${segments[0]?.timerange}`)
