import { type Json, jsonOf, type ResultTable } from '../result.ts'
import type { Answer } from '../service.ts'

const ROWS_AT_ONCE = 1000

/** Members of one object, or `rows`; in both cases with `query`, which says what the answer rests on. */
export function* json({ table, shape, name, parameters, metric }: Answer): Generator<string> {
  const query = {
    name,
    parameters,
    rows_scanned: metric.rowsScanned,
    rows_returned: table.rows.length,
    truncated: table.truncated,
    cache: metric.cache,
    elapsed_ms: Math.round(metric.elapsedMs * 100) / 100,
  }
  if (shape === 'object') {
    yield JSON.stringify({ ...rowOf(table, 0), query })
    return
  }
  yield '{"rows":['
  for (let from = 0; from < table.rows.length; from += ROWS_AT_ONCE) {
    const to = Math.min(from + ROWS_AT_ONCE, table.rows.length)
    const texts = Array.from({ length: to - from }, (_, i) => JSON.stringify(rowOf(table, from + i)))
    yield `${from === 0 ? '' : ','}${texts.join(',')}`
  }
  yield `],"query":${JSON.stringify(query)}}`
}

const rowOf = ({ columns, rows }: ResultTable, row: number): { readonly [name: string]: Json } =>
  Object.fromEntries(columns.map((column, i) => [column.name, jsonOf(column, rows[row]?.[i] ?? null)]))
