import type { FlowDocument, FlowRow } from './flow.ts'
import type { ObjectRow } from './media-object.ts'
import type { DomainEvent } from './record.ts'
import type { SourceDocument } from './source.ts'

// Events that the specification does not have: in the log and on the streams, never at webhooks. Their bodies follow the way of the
// standard ones: what came or changed whole, what went as its id.

/** Objects that a registration made readable; their URLs are asked for under `/objects`. */
export const objectsCreated = (rows: readonly ObjectRow[]): DomainEvent[] =>
  rows.length === 0 ? [] : [{ type: 'objects/created', event: { objects: rows.map(objectReference) } }]

const objectReference = (row: ObjectRow) => ({
  id: row.id,
  ...(row.timerange !== null && { timerange: row.timerange }),
  ...(row.init_object_id !== null && { init_object_id: row.init_object_id }),
  ...(row.first_referenced_by_flow !== null && { first_referenced_by_flow: row.first_referenced_by_flow }),
})

/** Those that were readable: an allocation that lapses is nobody's loss. */
export const objectsDeleted = (rows: readonly ObjectRow[]): DomainEvent[] => {
  const ids = rows.filter((row) => row.state === 'registered').map((row) => row.id)
  return ids.length === 0 ? [] : [{ type: 'objects/deleted', event: { object_ids: ids } }]
}

type Collecting = Pick<FlowRow, 'id' | 'source_id' | 'label' | 'flow_collection'>

/** What a change of a flow did to the collection that it is; undefined stands for no flow. */
export const collectionEvents = (before: Collecting | undefined, after: Collecting | undefined): DomainEvent[] => {
  const [from, to] = [before?.flow_collection ?? null, after?.flow_collection ?? null]
  const flow = after ?? before
  if (from === to || !flow) return []
  const named = { flowId: flow.id, sourceId: flow.source_id }
  if (to === null) return [{ type: 'collections/deleted', ...named, event: { collection_id: flow.id } }]
  const collection = {
    id: flow.id,
    source_id: flow.source_id,
    ...(flow.label !== null && { label: flow.label }),
    flow_collection: JSON.parse(to),
  }
  return [{ type: from === null ? 'collections/created' : 'collections/updated', ...named, event: { collection } }]
}

/** Besides the `flows/created` of a restored flow, whose body it has. */
export const flowRestored = (flow: FlowDocument): DomainEvent => ({
  type: 'flows/restored',
  flowId: flow.id,
  sourceId: flow.source_id,
  event: { flow },
})

/** Besides the `sources/created` of a restored source, whose body it has. */
export const sourceRestored = (source: SourceDocument): DomainEvent => ({
  type: 'sources/restored',
  sourceId: source.id,
  event: { source },
})
