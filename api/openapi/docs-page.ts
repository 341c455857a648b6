import path from 'node:path'
import { fileURLToPath } from 'node:url'
import swaggerUi from 'swagger-ui-dist/package.json' with { type: 'json' }
import { notFound } from '../../src/core/errors.ts'

/** Everything the page loads comes from this service: it has to work without the Internet. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  // Swagger UI's style sheet has its icons in data URLs.
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export const pageHeaders: Readonly<Record<string, string>> = {
  'cache-control': 'no-cache',
  'content-security-policy': POLICY,
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

const { version } = swaggerUi

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>vast-tams: API</title>
    <link rel="icon" href="favicon-32x32.png?v=${version}" sizes="32x32" type="image/png">
    <link rel="stylesheet" href="swagger-ui.css?v=${version}">
    <link rel="stylesheet" href="page.css">
  </head>
  <body>
    <noscript>This page needs JavaScript; <a href="../openapi.json">openapi.json</a> does not.</noscript>
    <div id="operations"></div>
    <script src="swagger-ui-bundle.js?v=${version}"></script>
    <script src="page.js"></script>
  </body>
</html>
`

export const page = (): Response => new Response(PAGE, { headers: { ...pageHeaders, 'content-type': 'text/html; charset=utf-8' } })

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
}
/** Of the package, whose files change only with the version in their URL, and of ours. */
const FROM_PACKAGE = new Set(['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'])
const OURS = new Set(['page.css', 'page.js'])
const YEAR = 'public, max-age=31536000, immutable'

/** One file of the page. Throws `not_found` for any other name. */
export const asset = (name: string): Response => {
  const ours = OURS.has(name)
  if (!ours && !FROM_PACKAGE.has(name)) throw notFound('The file')
  const folder = ours
    ? path.join(import.meta.dir, 'page')
    : path.dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/package.json')))
  const type = TYPES[path.extname(name)] ?? 'application/octet-stream'
  const headers = { ...pageHeaders, 'content-type': type, ...(!ours && { 'cache-control': YEAR }) }
  return new Response(Bun.file(path.join(folder, name)), { headers })
}
