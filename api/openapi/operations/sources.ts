import { Type } from '@sinclair/typebox'
import { SourceDocument } from '../../../src/domain/source.ts'
import * as example from '../examples.ts'
import type { Operations } from '../model.ts'
import { collectedByIds, deletedViews, format, label, limit, page, reverseOrder, sortBy, sourceId, tagFilters } from '../parameters.ts'
import { answer, failing, listing } from '../responses.ts'
import { describingOperations } from './properties.ts'

export const sourceOperations: Operations = {
  GET_sources: {
    method: 'get',
    path: '/sources',
    tag: 'Sources',
    summary: 'List sources',
    description: 'Sources that match all filters, newest first unless `sort_by` says otherwise; ties and missing keys by id.',
    parameters: [
      label,
      format,
      ...tagFilters('tag', 'sources', 'Leeds'),
      collectedByIds('sources', example.MULTI_SOURCE_ID),
      ...deletedViews,
      sortBy(['created', 'updated', 'label'], 'What to sort by: times newest first, labels ascending by code point.'),
      reverseOrder,
      page,
      limit,
    ],
    responses: { 200: listing('full', 'The sources.', Type.Array(SourceDocument), [example.source]), ...failing(400) },
  },
  'GET_sources-sourceId': {
    method: 'get',
    path: '/sources/{sourceId}',
    tag: 'Sources',
    summary: 'Get a source',
    description:
      'One source. It exists from the first flow that names it to the deletion of the last one; collections of sources follow from those of their flows.',
    parameters: [sourceId, ...deletedViews],
    responses: { 200: answer('The source.', SourceDocument, example.source), ...failing(400, 404) },
  },
  ...describingOperations({ kind: 'source', tag: 'Sources', idParameter: sourceId, effect: 'The flows of the source stay as they are.' }),
}
