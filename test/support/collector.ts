/** A span as OTLP has it in JSON. */
export interface Sent {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly status: { readonly code: number }
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, string | number>> }[]
}

/** A collector of traces on 127.0.0.1 that keeps what it is sent, and refuses it while `refusing`. */
export const startCollector = () => {
  const bodies: string[] = []
  const paths: string[] = []
  const state = { refusing: false }
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      paths.push(new URL(request.url).pathname)
      const body = await request.text()
      if (state.refusing) return new Response(null, { status: 400 })
      bodies.push(body)
      return Response.json({})
    },
  })
  return {
    state,
    paths,
    text: () => bodies.join('\n'),
    spans: (): readonly Sent[] =>
      bodies.flatMap((body) => {
        const { resourceSpans } = JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: Sent[] }[] }[] }
        return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
      }),
    endpoint: `http://127.0.0.1:${server.port}`,
    stop: () => server.stop(true),
  }
}

export const attribute = (span: Sent | undefined, key: string) =>
  Object.values(span?.attributes.find((each) => each.key === key)?.value ?? {})[0]
