import { EVENT_TYPES, type EventType } from './webhook-schema.ts'

/** Events of our own, in the log and on the streams only. */
const EXTENSION_EVENT_TYPES = [
  'objects/created',
  'objects/deleted',
  'flows/restored',
  'sources/restored',
  'collections/created',
  'collections/updated',
  'collections/deleted',
] as const

export type LoggedEventType = EventType | (typeof EXTENSION_EVENT_TYPES)[number]
export const LOGGED_EVENT_TYPES: readonly LoggedEventType[] = [...EVENT_TYPES, ...EXTENSION_EVENT_TYPES]
