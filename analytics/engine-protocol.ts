import type { ErrorCode } from '../src/core/errors.ts'
import type { PackedBatch } from './batch-transfer.ts'
import type { EngineOptions, Query } from './engine.ts'
import type { FlowDifference } from './flow-index.ts'
import type { LoadColumn } from './load.ts'
import type { ResultTable } from './result.ts'

/** The column `flow` of a table that is loaded, made in the engine's thread, which keeps the numberings. */
export type FlowColumn =
  /** A new numbering under this name; a flow that `like` has, under the same id and timeline, keeps its number. */
  | { readonly kind: 'numbering'; readonly index: string; readonly like: string | undefined }
  /** Numbers of that numbering. */
  | { readonly kind: 'linking'; readonly index: string; readonly hiding: boolean }

export interface LoadOrder {
  /** Of the table; unique in the engine. */
  readonly name: string
  readonly columns: readonly LoadColumn[]
  readonly flow?: FlowColumn | undefined
  /** Of a numbering: give the flows' ids, unless they are more. */
  readonly idsUpTo?: number
}

/** A table of rows that are in the engine already. */
export interface DeriveOrder extends Pick<Query, 'sql' | 'parameters' | 'views' | 'timeoutMs'> {
  /** Of the table; unique in the engine. */
  readonly name: string
  /** Keep the keys of objects that come more than once, rather than all rows. */
  readonly repeated: boolean
}

export interface Loaded {
  readonly name: string
  /** What a view on the rows is made of. */
  readonly select: string
  /** Rows that came, also those of no live flow. */
  readonly rowsScanned: number
  /** An estimate of the memory it takes. */
  readonly bytes: number
  readonly flowIds?: readonly string[] | undefined
  /** Of a numbering: whether a flow has hidden segments. */
  readonly hides?: boolean | undefined
}

export interface QueryOrder extends Omit<Query, 'signal'> {
  /** See `Plan.pairs`. */
  readonly pairs?: string | undefined
}

/** What the engine's thread is asked for, and what it answers. */
export interface Calls {
  open: { readonly asks: EngineOptions; readonly answers: null }
  query: { readonly asks: QueryOrder; readonly answers: ResultTable }
  parse: { readonly asks: string; readonly answers: unknown }
  memoryBytes: { readonly asks: null; readonly answers: number }
  /** Followed by `batch` messages and an `end`. */
  load: { readonly asks: LoadOrder; readonly answers: Loaded }
  derive: { readonly asks: DeriveOrder; readonly answers: Loaded }
  drop: { readonly asks: string; readonly answers: null }
  /** Which flows are not in `to` what they were in `from`; null where those are more than `most`. */
  compare: { readonly asks: { readonly from: string; readonly to: string; readonly most: number }; readonly answers: FlowDifference | null }
  dropIndex: { readonly asks: string; readonly answers: null }
  parquet: { readonly asks: ResultTable; readonly answers: Uint8Array<ArrayBuffer> }
  close: { readonly asks: null; readonly answers: null }
}
export type Method = keyof Calls

export type EngineRequest =
  | { readonly [M in Method]: { readonly type: 'call'; readonly id: number; readonly method: M; readonly asks: Calls[M]['asks'] } }[Method]
  | { readonly type: 'abort'; readonly id: number }
  | { readonly type: 'batch'; readonly id: number; readonly batch: PackedBatch }
  | { readonly type: 'end'; readonly id: number }

export type EngineAnswer =
  | { readonly type: 'done'; readonly id: number; readonly value: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly failure: Failure }
  /** A batch has been loaded: the next may come. */
  | { readonly type: 'taken'; readonly id: number }
  /** Of the thread as a whole: nothing more is answered but `ended`. */
  | { readonly type: 'crashed'; readonly failure: Failure }
  /** Nothing runs in it any more. Before that it must not be terminated. */
  | { readonly type: 'ended' }

/** An error on its way between threads; without a code it is none that a caller can act on. */
export interface Failure {
  readonly message: string
  readonly code?: ErrorCode
  readonly field?: string | undefined
  readonly stack?: string | undefined
}
