import { Elysia } from 'elysia'
import type { OpenAPIV3_1 } from 'openapi-types'
import { json } from '../reply.ts'
import { baseUrl, type HttpSettings } from '../request-context.ts'
import { asset, page, pageHeaders } from './docs-page.ts'
import { openApiDocument } from './document.ts'
import { operation } from './operation.ts'

export interface DocumentationOptions {
  /** Of this program. */
  readonly version: string
  readonly http: HttpSettings
  /** Only what the specification has. */
  readonly strict: boolean
}

/**
 * `/openapi.json`, and `/docs/`, which shows it. Not by `@elysiajs/swagger` 1.3.1: that makes the document from a running app, while
 * `tams openapi` has none; lists every route twice where there is a base path; writes 3.0.3, which knows neither `const` nor
 * `examples` of our schemas; and its page always loads a script from a CDN.
 */
export const documentation = ({ version, http, strict }: DocumentationOptions) => {
  let made: OpenAPIV3_1.Document | undefined

  return new Elysia()
    .get(
      '/openapi.json',
      ({ request }) => {
        made ??= openApiDocument({ version, basePath: http.basePath, strict })
        // Only the path of the URL that the client used: whatever host it goes through, it finds the operations beside the document.
        const { pathname } = new URL(baseUrl(http, request))
        return json(request, { ...made, servers: [{ url: pathname }] })
      },
      { detail: operation('GET_openapi') },
    )
    .get(
      '/docs',
      // Relative, so that it holds below any prefix; the page's own links need the slash.
      ({ request }) => (new URL(request.url).pathname.endsWith('/') ? page() : new Response(null, { status: 308, headers: redirect })),
      { detail: { hide: true } },
    )
    .get('/docs/:file', ({ params }) => asset(params.file), { detail: { hide: true } })
}

const redirect = { location: 'docs/', ...pageHeaders }
