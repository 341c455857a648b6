import { Type } from '@sinclair/typebox'
import { FlowCollection } from '../../../src/domain/flow-schema.ts'
import { Count } from '../../../src/domain/validate.ts'
import * as example from '../examples.ts'
import type { Operations } from '../model.ts'
import { flowId } from '../parameters.ts'
import { unsetOr } from '../schemas.ts'
import { describingOperations, type Property, propertyOperations } from './properties.ts'

const EFFECT = 'Refused while the flow is read-only.'
const common = { tag: 'Flows', parameters: [flowId] } as const

const bitRate = (member: 'max' | 'avg', name: string, more: Pick<Property, 'put' | 'delete' | 'deleteStatuses'>): Operations =>
  propertyOperations({
    ...common,
    id: `flows-flowId-${member}-bit-rate`,
    path: `/flows/{flowId}/${member}_bit_rate`,
    name: `${name} bit rate of a flow`,
    schema: Count,
    readSchema: unsetOr(Count),
    example: 5000,
    get: 'In units of 1000 bits a second; `null` when there is none. Clients set it, the service does not measure.',
    ...more,
  })

export const flowPropertyOperations: Operations = {
  ...describingOperations({ kind: 'flow', tag: 'Flows', idParameter: flowId, effect: EFFECT }),
  ...propertyOperations({
    ...common,
    id: 'flows-flowId-read-only',
    path: '/flows/{flowId}/read_only',
    name: 'read-only mark of a flow',
    schema: Type.Boolean(),
    example: true,
    get: 'Whether changes of the flow and its segments are refused.',
    put: 'Marks a flow as read-only or takes the mark away; the one change that a read-only flow accepts.',
  }),
  ...propertyOperations({
    ...common,
    id: 'flows-flowId-flow-collection',
    path: '/flows/{flowId}/flow_collection',
    name: 'collection of a flow',
    schema: FlowCollection,
    example: example.collection,
    get: 'The flows that this one collects, in order; empty when there are none.',
    put: `Replaces the collection. Every member exists here, none comes twice, and no flow collects itself, not even through others. The sources' collections follow. ${EFFECT}`,
    delete: `Removes the collection; the flows in it stay. ${EFFECT}`,
  }),
  ...bitRate('max', 'maximum', {
    put: `Sets the bit rate, in units of 1000 bits a second. ${EFFECT}`,
    delete: `Removes the bit rate; also done when there was none. ${EFFECT}`,
  }),
  ...bitRate('avg', 'average', {
    put: `Sets the bit rate, in units of 1000 bits a second. A flow that is linked to a profile has it from there: 400. ${EFFECT}`,
    delete: `Removes the bit rate; also done when there was none. A flow that is linked to a profile keeps it: 400. ${EFFECT}`,
    deleteStatuses: [400],
  }),
}
