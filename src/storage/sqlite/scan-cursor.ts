import type { SqlRow } from './connection.ts'
import type { ColumnBuilder } from './scan-columns.ts'
import { runColumns } from './scan-plan.ts'
import type { ScanPlan, ScanSpec } from './scan-protocol.ts'
import { type KeyTerm, pinnedTerms, type ScanStatements } from './scan-statements.ts'
import type { SqlValue } from './table-info.ts'

/** Rows of one statement, which gives the `varying` columns; the others are the same in all of them. Numbers are those of the scan's columns. */
interface Run {
  readonly rows: Iterator<SqlRow>
  readonly varying: readonly { readonly number: number; readonly name: string }[]
  readonly alike: readonly { readonly number: number; readonly value: SqlValue }[]
}

/** Reads those ranges of a scan that no other cursor takes. */
export class ScanCursor {
  private readonly runs: Iterator<Run>
  private run: Run | undefined

  constructor(
    private readonly statements: ScanStatements,
    private readonly spec: ScanSpec,
    private readonly plan: ScanPlan,
  ) {
    this.runs = this.ranges()
  }

  /** Adds up to `most` rows, one column of `builders` each, and gives their number: 0 when there are no more. */
  read(builders: readonly ColumnBuilder[], most: number): number {
    for (;;) {
      if (!this.run) {
        const step = this.runs.next()
        if (step.done) return 0
        this.run = step.value
      }
      const { rows, varying, alike } = this.run
      const adding = varying.map(({ number, name }) => ({ name, builder: builders[number] as ColumnBuilder }))
      let count = 0
      while (count < most) {
        const step = rows.next()
        if (step.done) {
          this.run = undefined
          break
        }
        for (const { name, builder } of adding) builder.add(step.value[name] ?? null)
        count++
      }
      if (count === 0) continue
      for (const { number, value } of alike) builders[number]?.repeat(value, count)
      return count
    }
  }

  close(): void {
    this.run?.rows.return?.()
    this.statements.close()
  }

  private *ranges(): Generator<Run, undefined> {
    const { pinned, bounds, byRuns } = this.plan
    for (;;) {
      const number = Atomics.add(this.spec.taken, 0, 1)
      if (number > bounds.length) return
      const from = bounds[number - 1]
      const below = bounds[number]
      const terms: KeyTerm[] = []
      if (from !== undefined) terms.push({ at: pinned.length, op: '>=', value: from })
      if (below !== undefined) terms.push({ at: pinned.length, op: '<', value: below })
      if (byRuns) yield* this.runsOf(terms)
      else yield this.runOf([], [...pinnedTerms(pinned), ...terms])
    }
  }

  private *runsOf(range: readonly KeyTerm[]): Generator<Run, undefined> {
    const { pinned } = this.plan
    const width = runColumns(this.spec)
    if (pinned.length >= width) {
      yield this.runOf(pinned.slice(0, width), [...pinnedTerms(pinned), ...range])
      return
    }
    let alike = this.statements.first(0, width, [...pinnedTerms(pinned), ...range])
    while (alike) {
      yield this.runOf(alike, pinnedTerms(alike))
      alike = this.following(alike, range)
    }
  }

  // One column greater, the last first: SQLite would look for `(a, b) > (?, ?)` among all rows with that `a`.
  private following(alike: readonly SqlValue[], range: readonly KeyTerm[]): readonly SqlValue[] | undefined {
    for (let at = alike.length - 1; at >= this.plan.pinned.length; at--) {
      const before = alike.slice(0, at)
      const terms: KeyTerm[] = [...pinnedTerms(before), { at, op: '>', value: alike[at] ?? null }]
      if (at === this.plan.pinned.length) terms.push(...range.filter(({ op }) => op === '<'))
      const rest = this.statements.first(at, alike.length, terms)
      if (rest) return [...before, ...rest]
    }
    return undefined
  }

  /** `beginning`: values of the first columns of the key, which `terms` fix. */
  private runOf(beginning: readonly SqlValue[], terms: readonly KeyTerm[]): Run {
    const varying: { number: number; name: string }[] = []
    const alike: { number: number; value: SqlValue }[] = []
    for (const [number, { name }] of this.spec.columns.entries()) {
      const at = this.spec.key.findIndex((column) => column.name === name)
      if (at >= 0 && at < beginning.length) alike.push({ number, value: beginning[at] ?? null })
      else varying.push({ number, name })
    }
    const names = varying.map(({ name }) => name)
    return { rows: this.statements.rows(names, terms), varying, alike }
  }
}
