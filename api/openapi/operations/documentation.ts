import { Type } from '@sinclair/typebox'
import type { Operations } from '../model.ts'
import { answer, onlyFailing } from '../responses.ts'

export const documentationOperations: Operations = {
  GET_openapi: {
    method: 'get',
    path: '/openapi.json',
    tag: 'Documentation',
    summary: 'Get this description',
    description: 'The OpenAPI document of this service, made from the schemas that it checks requests with. `/docs/` shows it as a page.',
    responses: {
      200: answer('The document.', Type.Object({ openapi: Type.String(), info: Type.Object({}), paths: Type.Object({}) }), {
        openapi: '3.1.0',
        info: { title: 'vast-tams', version: '0.1.0' },
        paths: {},
      }),
      ...onlyFailing(500),
    },
  },
}
