import { timestampNs } from './timestamp.ts'

/**
 * The retention tags of flows after AN0019 (tams-behaviour.md 11.8). `flow_retention_offset` is added to the later of
 * `metadata_updated` and `segments_updated`: then the flow is due. `segment_retention_offset` is added to the end of a segment's time
 * range, read as a TAI time of day: then the segment is due. On a timeline that is no time of day the offset has to bridge the
 * difference.
 */
export const RETENTION_TAGS = { flow: 'flow_retention_offset', segment: 'segment_retention_offset' } as const

/** How far TAI is ahead of UTC: since 2017, and no further leap second is announced. */
export const TAI_AHEAD_SECONDS = 37

/** The value of such a tag in nanoseconds. One that is not exactly one timestamp of the specification means nothing. */
export const retentionOffsetNs = (value: string | readonly string[] | undefined): bigint | undefined => {
  const [text, ...others] = typeof value === 'string' ? [value] : (value ?? [])
  return text === undefined || others.length > 0 ? undefined : timestampNs(text)
}
