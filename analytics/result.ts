/** Kinds of result columns; `decimal` covers sums beyond 64 bits (scale 0) and fixed-point numbers. */
export type ResultKind = 'int64' | 'decimal' | 'float64' | 'bool' | 'text' | 'time' | 'json'

export interface ResultColumn {
  readonly name: string
  readonly kind: ResultKind
  /** Digits behind the point of a `decimal`. */
  readonly scale: number
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

/**
 * A cell. `int64`: bigint; `decimal`: bigint, unscaled; `time`: bigint, microseconds since the Unix epoch (UTC); `json`: plain JSON in
 * which integers that a double cannot hold are text.
 */
export type Cell = bigint | number | string | boolean | null | Json

export interface ResultTable {
  readonly columns: readonly ResultColumn[]
  readonly rows: readonly (readonly Cell[])[]
  /** More rows were there than were asked for. */
  readonly truncated: boolean
}

/** A number where a double holds it exactly, text otherwise. */
export const exactInteger = (value: bigint): number | string => {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value.toString()
}

/** The digits of an unscaled number. */
export const decimalText = (value: bigint, scale: number): string => {
  if (scale === 0) return value.toString()
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0')
  return `${value < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/** RFC 3339 in UTC, with microseconds where there are any; beyond the years that JavaScript knows, null. */
export const timeText = (us: bigint): string | null => {
  const ms = us >= 0n ? us / 1000n : -((-us + 999n) / 1000n)
  const date = new Date(Number(ms))
  if (Number.isNaN(date.getTime())) return null
  const micros = us - ms * 1000n
  const iso = date.toISOString()
  return micros === 0n ? iso.replace('.000Z', 'Z') : `${iso.slice(0, -1)}${micros.toString().padStart(3, '0')}Z`
}

/** A cell as a JSON answer shows it: numbers are exact or text, what is no number is null. */
export const jsonOf = (column: ResultColumn, cell: Cell): Json => {
  if (cell === null) return null
  switch (column.kind) {
    case 'int64':
      return exactInteger(cell as bigint)
    case 'decimal':
      return column.scale === 0 ? exactInteger(cell as bigint) : decimalText(cell as bigint, column.scale)
    case 'float64':
      return Number.isFinite(cell as number) ? (cell as number) : null
    case 'time':
      return timeText(cell as bigint)
    case 'bool':
    case 'text':
    case 'json':
      return cell as Json
    default:
      throw new Error(`unhandled ${column.kind satisfies never}`)
  }
}
