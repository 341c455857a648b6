import type { SqlRow } from './connection.ts'
import type { ColumnBuilder } from './scan-columns.ts'
import type { KeyPlan, ScanSpec } from './scan-protocol.ts'
import { type KeyTerm, pinnedTerms, type ScanStatements } from './scan-statements.ts'

/** A worker's part of one scan. */
export interface ScanCursor {
  /** Adds up to `most` rows, one column of `builders` each, and gives their number; undefined when there are no more. */
  read(builders: readonly ColumnBuilder[], most: number): number | undefined
  close(): void
}

/** Reads those ranges of a scan that no other cursor takes. */
export class KeyCursor implements ScanCursor {
  private readonly ranges: Iterator<Iterator<SqlRow>>
  private rows: Iterator<SqlRow> | undefined

  constructor(
    private readonly statements: ScanStatements,
    private readonly spec: ScanSpec,
    private readonly plan: KeyPlan,
  ) {
    this.ranges = this.each()
  }

  read(builders: readonly ColumnBuilder[], most: number): number | undefined {
    const { columns } = this.spec
    for (;;) {
      if (!this.rows) {
        const range = this.ranges.next()
        if (range.done) return undefined
        this.rows = range.value
      }
      for (let count = 0; count < most; count++) {
        const row = this.rows.next()
        if (row.done) {
          this.rows = undefined
          if (count === 0) break
          return count
        }
        for (let i = 0; i < columns.length; i++) builders[i]?.add(row.value[columns[i]?.name ?? ''] ?? null)
      }
      if (this.rows) return most
    }
  }

  close(): void {
    this.rows?.return?.()
    this.statements.close()
  }

  private *each(): Generator<Iterator<SqlRow>, undefined> {
    const { pinned, bounds } = this.plan
    const names = this.spec.columns.map(({ name }) => name)
    for (;;) {
      const number = Atomics.add(this.spec.taken, 0, 1)
      if (number > bounds.length) return
      const from = bounds[number - 1]
      const below = bounds[number]
      const terms: KeyTerm[] = [...pinnedTerms(pinned)]
      if (from !== undefined) terms.push({ at: pinned.length, op: '>=', value: from })
      if (below !== undefined) terms.push({ at: pinned.length, op: '<', value: below })
      yield this.statements.rows(names, terms)
    }
  }
}
