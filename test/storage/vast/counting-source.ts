import type { RowSource, SourceRow } from '../../../src/storage/vast/row-source.ts'

/** Counts what is asked of a source, and the rows that it gives. */
export class CountingSource implements RowSource {
  requests = 0
  rowsRead = 0

  constructor(private readonly base: RowSource) {}

  async *rows(...[table, query]: Parameters<RowSource['rows']>): AsyncGenerator<readonly SourceRow[]> {
    this.requests++
    for await (const rows of this.base.rows(table, query)) {
      this.rowsRead += rows.length
      yield rows
    }
  }

  find(...args: Parameters<RowSource['find']>): ReturnType<RowSource['find']> {
    this.requests++
    return this.base.find(...args)
  }

  count(...args: Parameters<RowSource['count']>): ReturnType<RowSource['count']> {
    this.requests++
    return this.base.count(...args)
  }
}
