import type { DatasetRequest } from './datasets.ts'
import type { Parameter } from './engine.ts'

/** A table that is made of the datasets of a query before it runs, and kept with them. */
export type Step = DerivedStep | LateStep

/**
 * Rows of a SELECT over what is there already. `repeated`: it gives keys of objects, and of those the ones that come more than once are
 * kept, and some that do not, as `object` (`repeated-keys.ts`).
 */
export interface DerivedStep {
  readonly kind: 'derived' | 'repeated'
  readonly name: string
  readonly sql: string
  readonly bind?: Readonly<Record<string, Parameter>>
}

/** Of a dataset only the rows whose `column` is among the texts that `sql` gives; all rows where those are very many. */
export interface LateStep {
  readonly kind: 'late'
  readonly name: string
  readonly request: DatasetRequest
  readonly column: string
  readonly sql: string
}
