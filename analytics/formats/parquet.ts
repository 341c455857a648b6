import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Engine } from '../engine.ts'
import { load } from '../load.ts'
import { quoteName } from '../quote-name.ts'
import type { ResultColumn, ResultTable } from '../result.ts'
import { LOADABLE, loadBatches, loadName, portable } from './arrow.ts'

const MEMORY_MIB = 256

/**
 * Writes Parquet with a database of its own that can reach one scratch directory: the one that runs users' SQL reaches no file.
 * Sums that may be beyond 64 bits are decimal(38), nested values are JSON text.
 */
export class ParquetWriter {
  private opened: Promise<{ readonly engine: Engine; readonly directory: string }> | undefined

  async write(result: ResultTable): Promise<Uint8Array<ArrayBuffer>> {
    const table = portable(result)
    this.opened ??= open()
    const { engine, directory } = await this.opened
    const id = randomUUID()
    const file = path.join(directory, `${id}.parquet`)
    const loaded = await load(engine, {
      name: id,
      columns: table.columns.map(({ kind }, i) => ({ name: loadName(i), kind: LOADABLE.has(kind) ? (kind as 'int64') : 'text' })),
      batches: asynchronous(loadBatches(table)),
    })
    try {
      const selected = table.columns.map((column, i) => `${expression(column, i)} as ${quoteName(column.name)}`).join(', ')
      await engine.run(`copy (select ${selected} from (${loaded.select})) to '${file}' (format parquet, compression zstd)`)
      return await Bun.file(file).bytes()
    } finally {
      await loaded.drop()
      await rm(file, { force: true })
    }
  }

  async close(): Promise<void> {
    const opened = await this.opened
    this.opened = undefined
    opened?.engine.close()
    if (opened) await rm(opened.directory, { recursive: true, force: true })
  }
}

const open = async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'tams-parquet-'))
  return { directory, engine: await Engine.open({ memoryLimitMiB: MEMORY_MIB, threads: 1, concurrency: 1, directory }) }
}

const expression = ({ kind, scale }: ResultColumn, i: number): string => {
  const name = quoteName(loadName(i))
  if (kind === 'decimal') return `${name}::decimal(38, ${scale})`
  return kind === 'time' ? `${name}::timestamptz` : name
}

async function* asynchronous<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items
}
