import type { Collectors } from './collections.ts'
import type { LoggedEvent } from './logged-event.ts'
import type { WebhookSettings } from './webhook-schema.ts'

type Named = Pick<LoggedEvent, 'type' | 'flowId' | 'sourceId'>

/** What can be told without knowing collections: type, `flow_ids`, `source_ids`. `[]` matches nothing (tams-behaviour.md 10.4). */
export const concerns = (settings: WebhookSettings, { type, flowId, sourceId }: Named): boolean => {
  if (!settings.events.some((each) => each === type)) return false
  if (settings.flow_ids && flowId !== undefined && !settings.flow_ids.includes(flowId)) return false
  return !settings.source_ids || (sourceId !== undefined && settings.source_ids.includes(sourceId))
}

export const asksForCollectors = (settings: WebhookSettings): boolean =>
  settings.flow_collected_by_ids !== undefined || settings.source_collected_by_ids !== undefined

/** The two filters by collection; an empty list stands for what nobody collects. Flow filters have no effect on source events. */
export const isCollectedAsAsked = (settings: WebhookSettings, event: Named, collectors: Collectors): boolean =>
  (event.flowId === undefined || matches(settings.flow_collected_by_ids, collectors.flow)) &&
  matches(settings.source_collected_by_ids, collectors.source)

const matches = (wanted: readonly string[] | undefined, collectors: readonly string[]): boolean => {
  if (wanted === undefined) return true
  return wanted.length === 0 ? collectors.length === 0 : wanted.some((id) => collectors.includes(id))
}
