/** What the command line needs of the specification's resources; members it does not use are left out. */
export type TagValues = Readonly<Record<string, string | readonly string[]>>

export interface CollectionItem {
  readonly id: string
  readonly role?: string
}

export interface Flow {
  readonly id: string
  readonly source_id: string
  readonly format: string
  readonly codec?: string
  readonly container?: string
  readonly label?: string
  readonly description?: string
  readonly status?: string
  readonly tags?: TagValues
  readonly timerange?: string
  readonly created?: string
  readonly flow_collection?: readonly CollectionItem[]
  readonly essence_parameters?: Readonly<Record<string, unknown>>
}

export interface Source {
  readonly id: string
  readonly format: string
  readonly label?: string
  readonly tags?: TagValues
  readonly created?: string
}

export interface GetUrl {
  readonly url: string
  readonly label?: string
  readonly presigned?: boolean
}

export interface SegmentPost {
  readonly object_id: string
  readonly timerange: string
  readonly ts_offset?: string
  readonly object_timerange?: string
  readonly init_object_id?: string
  readonly last_duration?: string
  readonly key_frame_count?: number
}

export interface Segment extends SegmentPost {
  readonly get_urls?: readonly GetUrl[]
  readonly init_object?: { readonly object_id: string; readonly get_urls?: readonly GetUrl[] }
}

export interface MediaObject {
  readonly id: string
  readonly timerange?: string
  readonly referenced_by_flows: readonly string[]
  readonly first_referenced_by_flow?: string
  readonly key_frame_count?: number
  readonly get_urls?: readonly GetUrl[]
}

export interface Allocation {
  readonly object_id: string
  readonly put_url: { readonly url: string; readonly 'content-type'?: string; readonly headers?: Readonly<Record<string, string>> }
}

export interface FailedSegment {
  readonly object_id: string
  readonly timerange?: string
  readonly error?: { readonly summary?: string }
}
