import { Type } from '@sinclair/typebox'
import { ANSWER_FORMATS } from './query-string.ts'

const MAX_SQL = 100_000

const Parameter = Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()])

/** Body of `POST /analytics/query`. */
export const QueryBody = Type.Object(
  {
    sql: Type.String({ minLength: 1, maxLength: MAX_SQL }),
    parameters: Type.Optional(Type.Union([Type.Array(Parameter), Type.Record(Type.String(), Parameter)])),
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
    timeout_ms: Type.Optional(Type.Integer({ minimum: 1 })),
    refresh: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)

export const AnswerFormat = Type.Union(ANSWER_FORMATS.map((format) => Type.Literal(format)))
export const AnswerFormatOnly = Type.Object({ format: Type.Optional(AnswerFormat) })

export const PerformanceQuery = Type.Object({
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: 20, description: 'At most so many slow queries' }),
  slow_ms: Type.Optional(
    Type.Integer({ minimum: 0, examples: [500], description: 'What counts as slow, in milliseconds; `SLOW_QUERY_MS` unless given' }),
  ),
})
