import { toMicroseconds } from '../core/clock.ts'
import { type Context, seesEverything } from './context.ts'
import type { Deps } from './deps.ts'
import type { UrlOptions } from './get-urls.ts'
import type { LoggedEvent } from './logged-event.ts'
import { segmentShower } from './segment-list.ts'
import type { WebhookSettings } from './webhook-schema.ts'

/** What `flows/segments_added` shows of each segment's object. */
export interface EventOptions {
  readonly urls: UrlOptions
  readonly includeObjectTimerange: boolean
}

/** A message of the specification (tams-behaviour.md 10.1). */
export interface EventMessage {
  readonly event_timestamp: string
  readonly event_type: string
  readonly event: Readonly<Record<string, unknown>>
}

/** Whom messages are made for: URLs of this service's own media begin with `baseUrl`. */
export const messageContext = (baseUrl: string): Context => ({
  principal: { name: 'system' },
  visible: seesEverything,
  requestId: 'events',
  baseUrl,
})

export const webhookOptions = (settings: WebhookSettings): EventOptions => ({
  urls: {
    ...(settings.accept_get_urls && { acceptGetUrls: settings.accept_get_urls }),
    ...(settings.accept_storage_ids && { acceptStorageIds: settings.accept_storage_ids }),
    ...(settings.presigned !== undefined && { presigned: settings.presigned }),
    verboseStorage: settings.verbose_storage ?? false,
    backendTags: [],
  },
  includeObjectTimerange: settings.include_object_timerange ?? false,
})

/** The message of a logged event; segments with the URLs and the members of their objects as they are now. */
export const eventMessage = async (deps: Deps, context: Context, logged: LoggedEvent, options: EventOptions): Promise<EventMessage> => ({
  event_timestamp: toMicroseconds(logged.time),
  event_type: logged.type,
  event: await content(deps, context, logged, options),
})

interface ReferredSegment {
  readonly object_id: string
  readonly timerange: string
}

const content = async (deps: Deps, context: Context, { event }: LoggedEvent, options: EventOptions): Promise<EventMessage['event']> => {
  if (!Array.isArray(event.segments)) return event
  const segments = event.segments as readonly ReferredSegment[]
  const show = await deps.tables.read((tx) => segmentShower(tx, deps, context, segments, options))
  return { ...event, segments: segments.map((segment) => ({ ...segment, ...show(segment.object_id) })) }
}
