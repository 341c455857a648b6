import type { OpenAPIV3_1 } from 'openapi-types'
import { type Operation, TAGS } from './model.ts'
import { operations } from './operations.ts'
import { sharedParameters } from './parameters.ts'
import { references } from './references.ts'
import { sharedFailures, sharedHeaders } from './responses.ts'
import { schemas } from './schemas.ts'
import { securityOf, securitySchemes } from './security.ts'

export interface DocumentOptions {
  /** Of this program. */
  readonly version: string
  /** Path below which the operations are, without a trailing slash; empty at the root. */
  readonly basePath: string
  /** Without the extensions to the specification. */
  readonly strict: boolean
}

const DESCRIPTION = `A Time-addressable Media Store: the TAMS API, version 8.2, and the few operations that this service has beside it.

* **HEAD** is answered wherever GET is, with the same status and headers and without a body.
* **Methods** that a path does not have are answered with 405 and \`Allow\`.
* **Errors** carry \`type\`, \`summary\`, \`time\` and \`message\`, which repeats the summary.
* **Listings** are bare JSON arrays; \`Link\` and \`X-Paging-NextKey\` lead to the next page, and their absence ends the listing.
* **Times** on a timeline are \`seconds:nanoseconds\`, ranges of them \`[0:0_10:0)\`: a bracket includes its end, a parenthesis does not, and \`_\` is all of time.
* **X-Request-Id** is on every answer and in every line of the log about it; one that the request carries is taken over.`

const shared = { schemas, parameters: sharedParameters, headers: sharedHeaders, responses: sharedFailures }

/** The whole document, made from the operations and the domain's schemas alone: no store is needed. */
export const openApiDocument = ({ version, basePath, strict }: DocumentOptions): OpenAPIV3_1.Document => {
  const { place, components } = references(shared)
  const paths: Record<string, Record<string, unknown>> = {}
  for (const [operationId, operation] of Object.entries(operations)) {
    if (strict && operation.extension) continue
    const item = paths[operation.path] ?? {}
    item[operation.method] = place(documented(operationId, operation, strict))
    paths[operation.path] = item
  }
  const document = {
    openapi: '3.1.0',
    info: { title: 'vast-tams', version, summary: 'Time-addressable Media Store', description: DESCRIPTION },
    servers: [{ url: basePath || '/' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: { ...components, securitySchemes },
  }
  // TypeBox schemas are JSON Schema 2020-12, the dialect of OpenAPI 3.1, but their types do not say so.
  return document as OpenAPIV3_1.Document
}

const documented = (
  operationId: string,
  { method, path, tag, extension: _extension, extended, parameters, ...rest }: Operation,
  strict: boolean,
) => ({
  operationId,
  tags: [tag],
  security: securityOf(method, path),
  ...(parameters && {
    parameters: parameters.filter((parameter) => !(strict && parameter.extension)).map(({ extension: _beyond, ...parameter }) => parameter),
  }),
  ...rest,
  ...(!strict && extended && { ...extended, responses: { ...rest.responses, ...extended.responses } }),
})
