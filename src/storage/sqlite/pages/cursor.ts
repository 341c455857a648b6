import type { ColumnBuilder } from '../scan-columns.ts'
import type { ScanCursor } from '../scan-cursor.ts'
import type { PagePlan, ScanSpec } from '../scan-protocol.ts'
import { type RowFilter, rowFilter } from './filter.ts'
import { type PageImages, PageReader } from './images.ts'
import { RecordReader } from './record.ts'
import { TreeWalk } from './tree.ts'

/** Reads those parts of a table's tree that no other cursor takes. */
export class PageCursor implements ScanCursor {
  private readonly walk: TreeWalk
  private readonly row: RecordReader
  private readonly places: readonly number[]
  private readonly passes: RowFilter

  constructor(
    images: PageImages,
    private readonly spec: ScanSpec,
    private readonly plan: PagePlan,
  ) {
    const reader = new PageReader(images)
    const placeOf = (name: string): number => plan.columns.findIndex((column) => column.name === name)
    this.walk = new TreeWalk(reader)
    this.row = new RecordReader(
      reader,
      plan.columns.map(({ absent }) => absent),
    )
    this.places = spec.columns.map(({ name }) => placeOf(name))
    this.passes = rowFilter(spec.condition, placeOf)
  }

  read(builders: readonly ColumnBuilder[], most: number): number | undefined {
    const { walk, row, places, passes } = this
    let count = 0
    for (let looked = 0; looked < most; looked++) {
      if (!walk.next()) {
        if (this.begin()) continue
        return count > 0 ? count : undefined
      }
      row.open(walk.bytes, walk.at)
      if (!passes(row)) continue
      for (let i = 0; i < places.length; i++) (builders[i] as ColumnBuilder).addStored(row, places[i] as number)
      count++
    }
    return count
  }

  close(): void {}

  private begin(): boolean {
    const part = this.plan.parts[Atomics.add(this.spec.taken, 0, 1)]
    if (part) this.walk.begin(part)
    return part !== undefined
  }
}
