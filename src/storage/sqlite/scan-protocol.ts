import type { ColumnKind } from '../check-row.ts'
import type { SqlValue } from './table-info.ts'

export interface ScanColumn {
  readonly name: string
  readonly kind: ColumnKind
}

/** What the scan worker is told, in this order: `open`, then `snapshot`, any `scan`s with their `next`s, `stop`. */
export type ScanRequest =
  | { readonly type: 'open'; readonly file: string; readonly cancelled: Int32Array<SharedArrayBuffer> }
  | { readonly type: 'snapshot' }
  | {
      readonly type: 'scan'
      readonly id: number
      readonly sql: string
      readonly params: readonly SqlValue[]
      readonly columns: readonly ScanColumn[]
    }
  /** One more batch of that scan: the reader grants them one by one, so few are in memory. */
  | { readonly type: 'next'; readonly id: number }
  | { readonly type: 'end'; readonly id: number }
  | { readonly type: 'stop' }

export type ScanAnswer =
  | { readonly type: 'opened' }
  /** What `table_versions` holds in the worker's snapshot. */
  | { readonly type: 'snapshot'; readonly versions: string }
  | { readonly type: 'batch'; readonly id: number; readonly rows: number; readonly columns: readonly ColumnBuffers[] }
  | { readonly type: 'done'; readonly id: number }
  | { readonly type: 'failed'; readonly busy: boolean; readonly message: string }
  | { readonly type: 'stopped' }

/** A column in Arrow's layout; `valid` is absent when no cell is null. */
export interface ColumnBuffers {
  readonly nulls: number
  readonly valid: Uint8Array<ArrayBuffer> | undefined
  /** int64: BigInt64Array, int32 and codes of text: Int32Array, float64: Float64Array, bool: bits. */
  readonly data: BigInt64Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Float64Array<ArrayBuffer> | Uint8Array<ArrayBuffer>
  /** The texts that the codes number; where nearly all differ, one may be there twice. */
  readonly dictionary?: { readonly size: number; readonly offsets: Int32Array<ArrayBuffer>; readonly bytes: Uint8Array<ArrayBuffer> }
}

/** All versions in one text: equal texts mean that no committed write lies between two snapshots. */
export const VERSIONS_SQL = `select group_concat(name || '=' || version, ' ' order by name) as versions from table_versions`
