export interface KnownRoute {
  readonly method: string
  readonly path: string
}

/** Methods of the routes that this request's path matches, `HEAD` with every `GET`; empty for an unknown path. */
export const allowedMethods = (routes: readonly KnownRoute[], request: Request): string[] => {
  const path = new URL(request.url).pathname
  const parts = split(path)
  const methods = new Set<string>()
  for (const route of routes) {
    if (!matches(split(route.path), parts)) continue
    // A WebSocket begins with a GET.
    methods.add(route.method === 'WS' ? 'GET' : route.method)
    if (route.method === 'GET') methods.add('HEAD')
  }
  if (methods.size > 0) methods.add('OPTIONS')
  return [...methods].sort()
}

const split = (path: string): string[] => path.replace(/\/$/, '').split('/').slice(1)

const matches = (pattern: readonly string[], parts: readonly string[]): boolean => {
  if (pattern.at(-1) === '*') return parts.length >= pattern.length && matches(pattern.slice(0, -1), parts.slice(0, pattern.length - 1))
  return (
    pattern.length === parts.length && pattern.every((part, index) => (part.startsWith(':') ? parts[index] !== '' : part === parts[index]))
  )
}
