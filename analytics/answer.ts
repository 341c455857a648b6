import { arrowStream } from './formats/arrow.ts'
import { csv } from './formats/csv.ts'
import { json } from './formats/json.ts'
import type { AnswerFormat } from './query-string.ts'
import type { ResultTable } from './result.ts'
import type { Answer } from './service.ts'

const TYPES = {
  json: 'application/json',
  csv: 'text/csv; charset=utf-8; header=present',
  arrow: 'application/vnd.apache.arrow.stream',
  parquet: 'application/vnd.apache.parquet',
} as const satisfies Record<AnswerFormat, string>

const ACCEPTED: readonly (readonly [type: string, format: AnswerFormat])[] = [
  ['application/json', 'json'],
  ['text/csv', 'csv'],
  ['application/vnd.apache.arrow.stream', 'arrow'],
  ['application/vnd.apache.parquet', 'parquet'],
]

/** The format that an `Accept` header likes best (RFC 9110 12.5.1); JSON where it names none of ours. */
export const acceptedFormat = (header: string | null): AnswerFormat => {
  let best: { readonly format: AnswerFormat; readonly q: number } | undefined
  for (const item of header?.split(',') ?? []) {
    const [range, ...parameters] = item.split(';').map((part) => part.trim().toLowerCase())
    const weight = parameters.find((parameter) => parameter.startsWith('q='))
    const q = weight === undefined ? 1 : Number(weight.slice(2)) || 0
    const match = ACCEPTED.find(([type]) => range === type || range === '*/*' || range === `${type.split('/', 1).join()}/*`)
    if (match && q > (best?.q ?? 0)) best = { format: match[1], q }
  }
  return best?.format ?? 'json'
}

interface Parquet {
  write(table: ResultTable): Promise<Uint8Array<ArrayBuffer>>
}

/** An answer in its format, in pieces as the client takes them. */
export const respond = async (answer: Answer, format: AnswerFormat, parquet: Parquet): Promise<Response> => {
  const headers = {
    'content-type': TYPES[format],
    vary: 'Accept',
    'x-analytics-cache': answer.metric.cache,
    'x-analytics-rows-scanned': String(answer.metric.rowsScanned),
    'x-analytics-truncated': String(answer.table.truncated),
  }
  if (format === 'parquet') return new Response(await parquet.write(answer.table), { headers })
  return new Response(streamOf(piecesOf(answer, format)), { headers })
}

const piecesOf = (answer: Answer, format: Exclude<AnswerFormat, 'parquet'>): Iterable<string> | AsyncIterable<Uint8Array> => {
  switch (format) {
    case 'json':
      return json(answer)
    case 'csv':
      return csv(answer.table)
    case 'arrow':
      return arrowStream(answer.table)
    default:
      throw new Error(`unhandled ${format satisfies never}`)
  }
}

const encoder = new TextEncoder()

const streamOf = (pieces: Iterable<string> | AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> => {
  const iterator = Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]()
  return new ReadableStream({
    async pull(controller) {
      const step = await iterator.next()
      if (step.done) controller.close()
      else controller.enqueue(typeof step.value === 'string' ? encoder.encode(step.value) : step.value)
    },
    async cancel() {
      await iterator.return?.()
    },
  })
}
