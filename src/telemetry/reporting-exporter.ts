import { ExportResultCode } from '@opentelemetry/core'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import type { Log } from './log.ts'

/** The same exporter, which says once that spans are lost, and once that they are not any more. */
export const reporting = (exporter: SpanExporter, log: Pick<Log, 'info' | 'warn'>): SpanExporter => {
  let failing = false
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const failed = result.code !== ExportResultCode.SUCCESS
        if (failed && !failing) log.warn({ err: result.error }, 'traces cannot be sent')
        if (!failed && failing) log.info({}, 'traces are sent again')
        failing = failed
        done({ code: ExportResultCode.SUCCESS })
      })
    },
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  }
}
