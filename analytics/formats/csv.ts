import { type Cell, decimalText, type ResultColumn, type ResultTable, timeText } from '../result.ts'

const ROWS_AT_ONCE = 1000

/** RFC 4180 with a header; null is an empty field and empty text `""`, nested values are JSON, numbers have all their digits. */
export function* csv({ columns, rows }: ResultTable): Generator<string> {
  yield `${columns.map(({ name }) => quoted(name)).join(',')}\r\n`
  for (let from = 0; from < rows.length; from += ROWS_AT_ONCE)
    yield rows
      .slice(from, from + ROWS_AT_ONCE)
      .map((row) => `${columns.map((column, i) => field(column, row[i] ?? null)).join(',')}\r\n`)
      .join('')
}

const field = (column: ResultColumn, cell: Cell): string => {
  if (cell === null) return ''
  const text = textOf(column, cell)
  return text === '' ? '""' : quoted(text)
}

/** A cell as text, as formats without its type show it. */
export const textOf = ({ kind, scale }: ResultColumn, cell: NonNullable<Cell>): string => {
  if (kind === 'time') return timeText(cell as bigint) ?? ''
  if (kind === 'decimal') return decimalText(cell as bigint, scale)
  return kind === 'json' ? JSON.stringify(cell) : String(cell)
}

const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
