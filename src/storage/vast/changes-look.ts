import type { Row, TableName } from '../schema.ts'
import { collected } from './merged-queries.ts'
import type { RowSource } from './row-source.ts'
import { firstIdAt } from './stamps.ts'

/** Marks with stamps older than the newest by more than that are not looked at again. Clocks of replicas may differ by as much. */
const WINDOW_US = 60_000_000n

/** What commits have touched lately, by their marks in `changes`: one request for all tables, of the marks of the last minute only. */
export class ChangesLook {
  #known: ReadonlySet<string> = new Set()
  readonly #own = new Set<string>()
  #newest = 0n

  /** @param source Outside of transactions. */
  constructor(private readonly source: RowSource) {}

  /** Marks of a commit of this process: they are no news. */
  note(marks: readonly Row<'changes'>[]): void {
    for (const { id } of marks) this.#own.add(id)
  }

  /** Tables that others have touched since the last call. */
  async look(): Promise<readonly TableName[]> {
    const own = new Set(this.#own)
    const where = [{ column: 'id', anyOf: [{ kind: 'compare', op: '>=', value: firstIdAt(this.#newest - WINDOW_US) } as const] }]
    const rows = await collected(this.source.rows('changes', { columns: ['id', 'table_name'], where }))
    const touched = new Set<TableName>()
    for (const { id, table_name: table } of rows) {
      const mark = String(id)
      if (!this.#known.has(mark) && !this.#own.has(mark)) touched.add(table as TableName)
      const stamp = BigInt(`0x${mark.slice(0, 16)}`)
      if (stamp > this.#newest) this.#newest = stamp
    }
    this.#known = new Set(rows.map(({ id }) => String(id)))
    for (const id of own) this.#own.delete(id)
    return [...touched]
  }
}
