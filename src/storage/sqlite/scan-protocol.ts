import type { Predicate } from '../../core/predicate.ts'
import type { ColumnKind } from '../check-row.ts'
import type { StoredColumn } from './pages/plan.ts'
import type { TreePart } from './pages/tree.ts'
import type { SqlValue } from './table-info.ts'

export interface ScanColumn {
  readonly name: string
  readonly kind: ColumnKind
}

/** What is scanned; the workers make their statements of it. */
export interface ScanSpec {
  readonly table: string
  readonly key: readonly ScanColumn[]
  readonly columns: readonly ScanColumn[]
  /** A condition on the row `t`, and the values of its question marks. */
  readonly where: string
  readonly params: readonly SqlValue[]
  /** The same condition, and the columns that it looks at where the row alone decides. */
  readonly condition: Predicate
  readonly tested: readonly string[] | undefined
  /** How many ranges or parts of the plan are taken: a worker takes the next by adding one. */
  readonly taken: Int32Array<SharedArrayBuffer>
}

/** How the rows of a scan are shared out. */
export type ScanPlan = KeyPlan | PagePlan

/** By ranges of one column of the key, which SQLite reads. */
export interface KeyPlan {
  readonly kind: 'keys'
  /** Values of the key's columns before that one, which all rows have. */
  readonly pinned: readonly SqlValue[]
  /** Where ranges begin, ascending; another range lies below the first. */
  readonly bounds: readonly SqlValue[]
}

/** By parts of the table's tree: a worker reads the pages itself, which takes a third of the time. */
export interface PagePlan {
  readonly kind: 'pages'
  /** Of the snapshot whose pages these are. */
  readonly commit: string
  /** As rows hold them, up to the last that is needed. */
  readonly columns: readonly StoredColumn[]
  readonly parts: readonly TreePart[]
}

/** What a scan worker is told, in this order: `open`, then `snapshot`, any `scan`s with their `next`s, `rest`, another `snapshot` …, `stop`. */
export type ScanRequest =
  | { readonly type: 'open'; readonly file: string; readonly cancelled: Int32Array<SharedArrayBuffer> }
  | { readonly type: 'snapshot' }
  /** Without a plan the worker makes one and answers `planned`. */
  | { readonly type: 'scan'; readonly id: number; readonly spec: ScanSpec; readonly plan?: ScanPlan | undefined }
  /** One more batch of that scan: the reader grants them one by one, so few are in memory. */
  | { readonly type: 'next'; readonly id: number }
  | { readonly type: 'end'; readonly id: number }
  /** Ends scans and snapshot. */
  | { readonly type: 'rest' }
  | { readonly type: 'stop' }

export type ScanAnswer =
  | { readonly type: 'opened' }
  /** What `table_versions` holds in the worker's snapshot. */
  | { readonly type: 'snapshot'; readonly versions: string }
  | { readonly type: 'planned'; readonly id: number; readonly plan: ScanPlan }
  | { readonly type: 'batch'; readonly id: number; readonly rows: number; readonly columns: readonly ColumnBuffers[] }
  | { readonly type: 'done'; readonly id: number }
  | { readonly type: 'failed'; readonly busy: boolean; readonly message: string }
  | { readonly type: 'resting' }
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
