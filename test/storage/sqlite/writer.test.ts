import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { eq, everything } from '../../../src/core/predicate.ts'
import type { SqliteTables } from '../../../src/storage/sqlite/index.ts'
import { deliveryRow, logEntry } from '../../contract/table-rows.ts'
import { temporaryStores } from './support.ts'

const stores = temporaryStores()
const add = (tables: SqliteTables, id: string) => tables.write((tx) => tx.insert('deliveries', [deliveryRow(id)]))
const count = (tables: SqliteTables) => tables.read((tx) => tx.count('deliveries', everything))

describe('durability', () => {
  test('the writer commits to a write-ahead log and syncs each commit', async () => {
    const { connection } = await stores.open()
    expect(connection.row('pragma journal_mode', [])).toEqual({ journal_mode: 'wal' })
    expect(connection.row('pragma synchronous', [])).toEqual({ synchronous: 2n })
  })

  test('works that arrive together share commits', async () => {
    const tables = await stores.open()
    await Promise.all(Array.from({ length: 200 }, (_, i) => add(tables, `${i}`)))
    // The version of a table counts the commits that touched it.
    expect(Number(await tables.version('deliveries'))).toBeLessThan(20)
    expect(await count(tables)).toBe(200)
  })

  test('a store is as it was when it is opened again', async () => {
    const first = await stores.open()
    await add(first, 'a')
    await first.close()
    expect(await count(await stores.open())).toBe(1)
  })
})

describe('a full disk', () => {
  const fill = (tables: SqliteTables, work = async (promise: Promise<unknown>) => promise) =>
    tables.write(async (tx) => {
      await tx.insert('deliveries', [deliveryRow('first of the large one')])
      await work(
        tx.insert(
          'deliveries',
          Array.from({ length: 50 }, (_, i) => deliveryRow(`large-${i}`, { error: 'x'.repeat(100_000) })),
        ),
      )
    })
  const limitPages = ({ connection }: SqliteTables, more: number) => {
    const pages = Number(connection.row('pragma page_count', [])?.page_count)
    connection.run(`pragma max_page_count = ${pages + more}`)
  }

  test('fails the work that needs the room; the rest of its batch is written', async () => {
    const tables = await stores.open()
    limitPages(tables, 20)
    const small = Array.from({ length: 10 }, (_, i) => `small-${i}`)
    const results = await Promise.allSettled([
      ...small.slice(0, 5).map((id) => add(tables, id)),
      fill(tables),
      ...small.slice(5).map((id) => add(tables, id)),
    ])
    expect(results.map(({ status }) => status)).toEqual([...Array(5).fill('fulfilled'), 'rejected', ...Array(5).fill('fulfilled')])
    expect(results[5]).toMatchObject({ reason: { code: 'storage_full' } })
    const page = await tables.read((tx) => tx.list('deliveries', { where: everything, limit: 100 }))
    expect(page.rows.map(({ id }) => id)).toEqual(small)
  })

  test('a transaction that SQLite rolled back whole is run again without the culprit, even one that hides the error', async () => {
    const tables = await stores.open()
    // SQLite does this by itself on some errors; here a trigger asks for it.
    tables.connection.run(
      `create trigger whole before insert on deliveries when new.id = 'culprit' begin select raise(rollback, 'whole'); end`,
    )
    const lost = Promise.allSettled([
      add(tables, 'before'),
      tables.write(async (tx) => {
        await tx.insert('deliveries', [deliveryRow('culprit')]).catch(() => {})
        return 'hidden'
      }),
      add(tables, 'after'),
    ])
    expect((await lost).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    const page = await tables.read((tx) => tx.list('deliveries', { where: everything, limit: 100 }))
    expect(page.rows.map(({ id }) => id)).toEqual(['after', 'before'])
    expect(await tables.version('deliveries')).toBe('1')
  })

  test('reads go on, and writes again when there is room', async () => {
    const tables = await stores.open()
    await add(tables, 'a')
    limitPages(tables, 5)
    await expect(fill(tables)).rejects.toMatchObject({ code: 'storage_full' })
    expect(await count(tables)).toBe(1)
    limitPages(tables, 100_000)
    await fill(tables)
    expect(await count(tables)).toBe(52)
  })

  test('a commit that fails rejects every work of its batch and leaves nothing', async () => {
    const tables = await stores.open()
    await add(tables, 'a')
    // Raised by the statement that counts the commit, after all works have run.
    tables.connection.run(`create trigger no_commit before update on table_versions begin select raise(rollback, 'no commit'); end`)
    const results = await Promise.allSettled([add(tables, 'b'), add(tables, 'c')])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await count(tables)).toBe(1)
    tables.connection.run('drop trigger no_commit')
    await add(tables, 'b')
    expect(await count(tables)).toBe(2)
  })
})

describe('works that wait for something foreign', () => {
  test('a timer, a file and another transaction are foreign; settled values and own calls are not', async () => {
    const tables = await stores.open()
    const foreign: readonly (() => Promise<unknown>)[] = [
      () => new Promise((resolve) => setTimeout(resolve, 0)),
      () =>
        Bun.file(import.meta.path)
          .slice(0, 1)
          .arrayBuffer(),
      () => add(tables, 'inner'),
    ]
    for (const wait of foreign) {
      const work = tables.write(async (tx) => {
        await tx.insert('deliveries', [deliveryRow('outer')])
        await wait()
      })
      await expect(work).rejects.toThrow('awaited something else')
    }
    await tables.write(async (tx) => {
      await Promise.resolve()
      await Promise.all([tx.insert('deliveries', [deliveryRow('x')]), tx.append([logEntry('x')]), Promise.resolve(1)])
      for (let i = 0; i < 1000; i++) await null
    })
    expect(await tables.read((tx) => tx.find('deliveries', ['outer']))).toBeUndefined()
    expect(await tables.read((tx) => tx.find('deliveries', ['x']))).toBeDefined()
  })

  test('one that goes on later cannot harm the works after it', async () => {
    const tables = await stores.open()
    const gate = Promise.withResolvers<void>()
    const late = Promise.withResolvers<unknown>()
    const work = tables.write(async (tx) => {
      await gate.promise
      late.resolve(await tx.delete('deliveries', everything).catch((error: unknown) => error))
    })
    await expect(work).rejects.toThrow('awaited something else')
    await Promise.all([
      tables.write(async (tx) => {
        await tx.insert('deliveries', [deliveryRow('a')])
        gate.resolve()
        for (let i = 0; i < 10; i++) await null
        await tx.insert('deliveries', [deliveryRow('b')])
      }),
      add(tables, 'c'),
    ])
    expect(String(await late.promise)).toContain('ended')
    expect(await count(tables)).toBe(3)
  })
})

describe('other processes', () => {
  test('write to the same file at the same time, and nothing is lost', async () => {
    const tables = await stores.open()
    const other = Bun.spawn(['bun', `${import.meta.dir}/process.ts`, stores.file(), 'write', '120'], {
      stdout: 'inherit',
      stderr: 'inherit',
    })
    let mine = 0
    try {
      while (other.exitCode === null) {
        await Promise.all(
          Array.from({ length: 3 }, () =>
            tables.write(async (tx) => {
              await tx.insert('deliveries', [deliveryRow(`mine-${mine++}`)])
              await tx.append([logEntry('mine')])
            }),
          ),
        )
      }
    } finally {
      other.kill()
    }
    expect(other.exitCode).toBe(0)
    const log = await tables.read((tx) => tx.readLog(0n, 1_000_000))
    expect(log.filter(({ type }) => type === 'other')).toHaveLength(120)
    expect(log.filter(({ type }) => type === 'mine')).toHaveLength(mine)
    expect(await count(tables)).toBe(120 + mine)
  }, 120_000)

  test('one that never ends its write makes ours unavailable after a bounded wait, and the event loop stays free', async () => {
    const tables = await stores.open({ busyTimeoutMs: 60 })
    const other = new Database(stores.file())
    other.run('begin immediate')
    let turns = 0
    const ticking = setInterval(() => turns++, 1)
    await expect(add(tables, 'a')).rejects.toMatchObject({ code: 'unavailable' })
    clearInterval(ticking)
    expect(turns).toBeGreaterThan(5)
    const waiting = add(tables, 'b')
    other.run('commit')
    other.close()
    await waiting
    expect(await tables.read((tx) => tx.count('deliveries', eq('id', 'b')))).toBe(1)
  })

  test('a second server is refused while the first lives, and not after it was killed', async () => {
    const server = Bun.spawn(['bun', `${import.meta.dir}/process.ts`, stores.file(), 'serve'], { stdout: 'pipe', stderr: 'inherit' })
    try {
      const { value } = await server.stdout.getReader().read()
      expect(new TextDecoder().decode(value)).toContain('serving')
      await expect(stores.open({ exclusive: true })).rejects.toMatchObject({ code: 'conflict' })
      await add(await stores.open(), 'a command beside the server')
    } finally {
      server.kill('SIGKILL')
      await server.exited
    }
    const next = await stores.open({ exclusive: true })
    await expect(stores.open({ exclusive: true })).rejects.toMatchObject({ code: 'conflict' })
    await next.close()
    await stores.open({ exclusive: true })
  }, 120_000)
})
