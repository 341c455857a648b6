import type { TSchema } from '@sinclair/typebox'

/**
 * An operation as it is written down here: OpenAPI, except that schemas are TypeBox values and shared parts are the values
 * themselves. `openApiDocument` puts references in their place.
 */
export interface Operation {
  readonly method: 'get' | 'put' | 'post' | 'patch' | 'delete'
  /** As in the specification, `/flows/{flowId}`. */
  readonly path: string
  readonly tag: Tag
  /** The specification does not have it: absent in strict mode. */
  readonly extension?: true
  readonly summary: string
  readonly description: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: RequestBody
  /** By status. */
  readonly responses: Readonly<Record<string, Response>>
  /** Where the extensions are on, this is in place of these members; responses come to those above, by status. */
  readonly extended?: Partial<Pick<Operation, 'description' | 'requestBody' | 'responses'>>
}

/** By the specification's operation id, `GET_flows-flowId`. */
export type Operations = Readonly<Record<string, Operation>>

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly description: string
  readonly required?: true
  /** The specification does not have it: absent in strict mode. */
  readonly extension?: true
  readonly allowEmptyValue?: true
  /** false: a list is one text with commas. */
  readonly explode?: false
  readonly schema: TSchema
  readonly example: unknown
}

export interface RequestBody {
  readonly description: string
  readonly required: boolean
  readonly content: Content
}

export interface Response {
  readonly description: string
  readonly headers?: Readonly<Record<string, Header>>
  readonly content?: Content
}

export type Content = Readonly<Record<string, MediaType>>

interface MediaType {
  readonly schema: TSchema
  readonly example?: unknown
  readonly examples?: Examples
}

/** By name; the summary is what a reader chooses by. */
export type Examples = Readonly<Record<string, { readonly summary: string; readonly value: unknown }>>

export interface Header {
  readonly description: string
  readonly schema: TSchema
  readonly example: unknown
}

/** The specification's tags, and behind them those of what it does not know. */
export const TAGS = {
  Service: 'What this service is and which storage backends it has.',
  Profiles: 'Technical metadata that flows can be made from; never changed once registered.',
  Webhooks: 'Receivers of events: what happens to flows, segments and sources is sent to them.',
  Sources: 'Pieces of media regardless of how they are encoded. They follow from the flows that name them.',
  Flows: 'Renditions of a source in one format, with their metadata.',
  FlowSegments: 'The timelines of flows: which media object is where.',
  MediaStorage: 'Places to upload media objects to.',
  Objects: 'Media objects, the flows that use them, and the places they can be read from.',
  FlowDeleteRequests: 'Deletions that are worked off in the background.',
  Extensions: 'What this service offers besides. Not part of the TAMS specification, and off in strict mode.',
  Events: 'What happened, stored and as it happens. Not part of the TAMS specification.',
  Analytics: 'Reports and read-only SQL over the metadata. Not part of the TAMS specification.',
  Media: 'The bytes of media objects that this service stores itself. Not part of the TAMS specification.',
  Administration: 'Who may use this service. Not part of the TAMS specification.',
  Health: 'For operators and orchestrators. Not part of the TAMS specification.',
  Documentation: 'This description. Not part of the TAMS specification.',
} as const
export type Tag = keyof typeof TAGS
