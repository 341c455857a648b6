import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Attributes,
  type Context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  trace,
} from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import type { Log } from './log.ts'
import type { AnsweredRequest } from './metrics.ts'
import { reporting } from './reporting-exporter.ts'

export interface TraceOptions {
  /** Of a collector: spans are posted to `v1/traces` below it as JSON (OTLP over HTTP). */
  readonly endpoint: string
  readonly serviceVersion: string
  /** Whether the service is at fault, and not what a client has asked for. */
  readonly isFailure: (error: unknown) => boolean
  readonly log: Pick<Log, 'info' | 'warn'>
}

/** A call to another server that has just ended. */
export interface EndedCall {
  readonly name: string
  readonly attributes: Attributes
  readonly seconds: number
  readonly failed: boolean
}

/**
 * Spans of requests and of what is done for them, with the names of OpenTelemetry's semantic conventions. What is done for no request
 * is not recorded, nor anything that a client may keep secret: of its URL there is only the path.
 */
export interface Traces {
  /** Runs what serves a request. Its trace is the one of the header `traceparent` (https://www.w3.org/TR/trace-context/), or a new one. */
  serve<T>(request: Request, handle: () => T): T
  answered(request: Request, answer: Pick<AnsweredRequest, 'method' | 'route' | 'status'>): void
  /** 32 hexadecimal digits. */
  traceId(request: Request): string | undefined
  /** A part of the work for a request. */
  within<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T>
  called(call: EndedCall): void
  /** Sends what has not been sent yet, for two seconds at most. */
  close(): Promise<void>
}

/** Where in the work for a request. What goes on after its answer, such as a timer that it has set, is no part of it. */
interface Place {
  readonly context: Context
  readonly request: Span
}

const CLOSE_MS = 2000
const SERVER_ERROR = 500

export const createTraces = ({ endpoint, serviceVersion, isFailure, log }: TraceOptions): Traces => {
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces` })
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'vast-tams', 'service.version': serviceVersion }),
    spanProcessors: [new BatchSpanProcessor({ exporter: reporting(exporter, log) })],
  })
  const tracer = provider.getTracer('vast-tams', serviceVersion)
  const propagator = new W3CTraceContextPropagator()
  const current = new AsyncLocalStorage<Place>()
  const spans = new WeakMap<Request, Span>()
  return {
    serve(request, handle) {
      const parent = propagator.extract(ROOT_CONTEXT, request.headers, headerGetter)
      const span = tracer.startSpan('HTTP', { kind: SpanKind.SERVER, attributes: partsOf(request.url) }, parent)
      spans.set(request, span)
      return current.run({ context: trace.setSpan(parent, span), request: span }, handle)
    },
    answered(request, { method, route, status }) {
      const span = spans.get(request)
      if (!span) return
      const known = method === 'other' ? '_OTHER' : method
      span.updateName(route === 'unmatched' ? known : `${known} ${route}`).setAttribute('http.request.method', known)
      if (route !== 'unmatched') span.setAttribute('http.route', route)
      span.setAttribute('http.response.status_code', status)
      if (status >= SERVER_ERROR) span.setAttribute('error.type', String(status)).setStatus({ code: SpanStatusCode.ERROR })
      span.end()
    },
    traceId(request) {
      const context = spans.get(request)?.spanContext()
      return context && isSpanContextValid(context) ? context.traceId : undefined
    },
    async within(name, attributes, work) {
      const place = current.getStore()
      if (!place?.request.isRecording()) return work()
      const span = tracer.startSpan(name, { attributes }, place.context)
      try {
        return await current.run({ ...place, context: trace.setSpan(place.context, span) }, work)
      } catch (error) {
        if (isFailure(error)) span.setStatus({ code: SpanStatusCode.ERROR })
        throw error
      } finally {
        span.end()
      }
    },
    called({ name, attributes, seconds, failed }) {
      const place = current.getStore()
      if (!place?.request.isRecording()) return
      // By the clock that the other spans go by.
      const endTime = Date.now()
      const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes, startTime: endTime - seconds * 1000 }, place.context)
      if (failed) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end(endTime)
    },
    async close() {
      await Promise.race([provider.shutdown().catch(() => {}), Bun.sleep(CLOSE_MS)])
    },
  }
}

// Not by `URL`: what a client sends as its host need not make one, and is refused later.
const partsOf = (url: string): Attributes => {
  const host = url.indexOf('//') + 2
  const path = url
    .slice(Math.max(url.indexOf('/', host), host))
    .split(/[?#]/, 1)
    .join()
  return { 'url.scheme': url.slice(0, url.indexOf(':')), 'url.path': path }
}

const headerGetter: TextMapGetter<Headers> = {
  get: (headers, name) => headers.get(name) ?? undefined,
  keys: (headers) => [...headers.keys()],
}
