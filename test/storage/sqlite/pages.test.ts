import { afterAll, expect, test } from 'bun:test'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { and, compare, eq, isIn, isNull, not, or, type Predicate } from '../../../src/core/predicate.ts'
import type { ColumnKind } from '../../../src/storage/check-row.ts'
import type { Connection } from '../../../src/storage/sqlite/connection.ts'
import { borrowFiles } from '../../../src/storage/sqlite/pages/borrow-files.ts'
import { PageCursor } from '../../../src/storage/sqlite/pages/cursor.ts'
import { testedColumns } from '../../../src/storage/sqlite/pages/filter.ts'
import { columnBuilder } from '../../../src/storage/sqlite/scan-columns.ts'
import {
  begin,
  byPages,
  bySql,
  COLUMNS,
  cell,
  closeConnections,
  connect,
  createTable,
  KINDS,
  pagesOf,
  planned,
  readAll,
  snapshotOf,
  sorted,
  specOf,
  writerOf,
} from './pages-support.ts'

const here = process.platform === 'linux'
if (!here) console.warn('skipped: scans that read pages themselves, because this is not Linux')
const onLinux = test.skipIf(!here)

const directory = mkdtempSync(path.join(tmpdir(), 'tams-pages-'))
afterAll(() => {
  closeConnections()
  rmSync(directory, { recursive: true })
})

let files = 0
/** A table with rows of every kind; `late` columns are added when some rows are there. */
const newFile = (pageSize: number): string => {
  const file = path.join(directory, `${files++}.sqlite`)
  const writer = connect(file, true)
  writer.run(`pragma page_size = ${pageSize}`)
  writer.makeDurable()
  createTable(writer)
  return file
}

const addLateColumns = (writer: Connection): void => {
  writer.run(`alter table t add column late text not null default ''`)
  writer.run('alter table t add column late_count integer')
}

const integers = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.integer({ min: 0, max: 62 }).chain((bits) => fc.constantFrom(2n ** BigInt(bits), -(2n ** BigInt(bits)), 2n ** BigInt(bits) - 1n)),
)
const texts = fc.oneof(fc.string({ unit: 'binary', maxLength: 90 }), fc.constantFrom('', 'a', 'é', '\u0000', '\u{10ffff}'))
const rowsOf = (columns: readonly string[]) =>
  fc
    .array(
      fc.record({
        id: texts,
        at: integers,
        note: fc.option(
          fc.oneof(
            texts,
            fc.integer({ min: 0, max: 9000 }).map((length) => 'x'.repeat(length)),
          ),
        ),
        big: fc.option(integers),
        small: fc.integer().map(BigInt),
        real: fc.option(fc.oneof(fc.double({ noNaN: true }), fc.integer())),
        flag: fc.constantFrom(0n, 1n),
        late: texts,
        late_count: fc.option(integers),
      }),
      { minLength: 60, maxLength: 120 },
    )
    .map((rows) => ({ columns, rows }))

const insert = (writer: Connection, { columns, rows }: { columns: readonly string[]; rows: readonly Record<string, unknown>[] }): void => {
  const sql = `insert or replace into t (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`
  writer.run('begin')
  for (const row of rows) writer.run(sql, columns.map((name) => row[name]) as string[])
  writer.run('commit')
}

onLinux(
  'pages hold what SQLite reads from them: any page size, any values, rows from before a column, long rows, deleted ones',
  () => {
    const early = COLUMNS.filter((name) => !name.startsWith('late'))
    fc.assert(
      fc.property(
        fc.constantFrom(512, 1024, 4096, 65_536),
        rowsOf(early),
        rowsOf(COLUMNS),
        fc.constantFrom('never', 'before the last rows', 'at the end'),
        fc.subarray(COLUMNS, { minLength: 1 }),
        (pageSize, before, after, checkpoint, columns) => {
          const file = newFile(pageSize)
          const writer = writerOf(file)
          insert(writer, before)
          addLateColumns(writer)
          if (checkpoint === 'before the last rows') writer.rows('pragma wal_checkpoint(truncate)')
          insert(writer, after)
          writer.run('delete from t where small % 3 = 0')
          // Enough for a root with children, whatever the size of the pages.
          insert(writer, {
            columns: ['id', 'at', 'note'],
            rows: Array.from({ length: 40 }, (_, i) => ({ id: `fill ${i}`, at: BigInt(i), note: 'y'.repeat(pageSize / 8) })),
          })
          if (checkpoint === 'at the end') expect(writer.rows('pragma wal_checkpoint(passive)')[0]?.busy).toBe(0n)
          const snapshot = snapshotOf(file)
          expect(snapshot.images.inWal.size > 0).toBe(checkpoint !== 'at the end')
          expect(byPages(snapshot, specOf(columns), 7)).toEqual(bySql(snapshot, columns))
          closeConnections()
        },
      ),
      { numRuns: 60 },
    )
  },
  60_000,
)

/** `count` rows and more, on pages of 1 KiB. */
const filled = (count: number): string => {
  const file = newFile(1024)
  const writer = writerOf(file)
  insert(writer, {
    columns: ['id', 'at', 'note', 'big', 'small', 'flag'],
    rows: Array.from({ length: count }, (_, i) => ({
      id: `id ${i % 50}`,
      at: BigInt(i - 100),
      note: i % 7 === 0 ? null : `note ${i % 13}`,
      big: i % 5 === 0 ? null : BigInt(i) * 10n ** 12n - 10n ** 14n,
      small: BigInt(i % 9),
      flag: BigInt(i % 2),
    })),
  })
  addLateColumns(writer)
  return file
}

onLinux('conditions on the row itself hold as SQLite has them', () => {
  const snapshot = snapshotOf(filled(2000))
  const cases: readonly (readonly [Predicate, string])[] = [
    [eq('note', 'note 5'), `note = 'note 5'`],
    [not(eq('note', 'note 5')), `note is not 'note 5'`],
    [compare('note', '>', 'note 2'), `note > 'note 2'`],
    [compare('note', '<=', 'note 11'), `note <= 'note 11'`],
    [isNull('big'), 'big is null'],
    [compare('big', '<', -5n * 10n ** 13n), 'big < -50000000000000'],
    [compare('big', '>=', 10n ** 15n + 1n), 'big >= 1000000000000001'],
    [compare('big', '!=', 0n), 'big != 0'],
    [and(eq('flag', true), or(eq('at', -99n), compare('at', '>', 1890n))), 'flag = 1 and (at = -99 or at > 1890)'],
    [eq('late', ''), '1'],
    [not(isNull('late_count')), '0'],
  ]
  for (const [condition, where] of cases) {
    const spec = specOf(['id', 'at'], condition)
    expect(byPages(snapshot, spec)).toEqual(bySql(snapshot, ['id', 'at'], where))
  }
  expect(testedColumns(isIn('id', ['a']))).toBeUndefined()
})

onLinux('the parts of a tree together are all of its rows, each once, however many read them', () => {
  const snapshot = snapshotOf(filled(3000))
  const spec = specOf(['id', 'at'])
  const plan = planned(snapshot, spec)
  expect(plan.parts.length).toBeGreaterThan(60)
  const cursors = [1, 2, 3].map(() => new PageCursor(snapshot.images, spec, plan))
  const rows = cursors.map((cursor) => {
    const builders = spec.columns.map(({ kind }) => columnBuilder(kind, 200))
    const count = cursor.read(builders, 200) ?? 0
    const columns = builders.map((builder) => builder.finish())
    return Array.from({ length: count }, (_, row) => columns.map((column, i) => cell(column, i === 0 ? 'text' : 'int64', row)))
  })
  expect(rows.every(({ length }) => length > 0)).toBe(true)
  expect(sorted([...rows.flat(), ...cursors.flatMap((cursor) => readAll(cursor, spec))])).toEqual(bySql(snapshot, ['id', 'at']))
})

onLinux('a snapshot stays as it was while others write and try to make a checkpoint', () => {
  for (const checkpointed of [false, true]) {
    const file = filled(3000)
    const writer = writerOf(file)
    if (checkpointed) writer.rows('pragma wal_checkpoint(passive)')
    const snapshot = snapshotOf(file)
    const spec = specOf(COLUMNS)
    const before = bySql(snapshot, COLUMNS)
    const cursor = new PageCursor(snapshot.images, spec, planned(snapshot, spec))
    const builders = spec.columns.map(({ kind }) => columnBuilder(kind, 100))
    const count = cursor.read(builders, 100) ?? 0
    expect(count).toBeGreaterThan(0)
    const columns = builders.map((builder) => builder.finish())
    const first = Array.from({ length: count }, (_, row) =>
      columns.map((column, i) => cell(column, KINDS[COLUMNS[i] as string] as ColumnKind, row)),
    )
    const modes = ['passive', 'full', 'restart', 'truncate']
    for (const mode of modes) {
      writer.run(`update t set note = '${mode}', big = 1`)
      writer.run(`delete from t where at % 2 = 0`)
      insert(writer, {
        columns: ['id', 'at', 'note'],
        rows: Array.from({ length: 500 }, (_, i) => ({ id: `new ${mode}`, at: BigInt(i), note: 'z'.repeat(300) })),
      })
      writer.rows(`pragma wal_checkpoint(${mode})`)
    }
    expect(sorted([...first, ...readAll(cursor, spec)])).toEqual(before)
    snapshot.connection.run('rollback')
    expect(byPages(snapshotOf(file), specOf(COLUMNS))).not.toEqual(before)
  }
})

onLinux('a commit while the snapshot is taken leads to another attempt, and commits all the time to none', () => {
  const file = filled(500)
  const writer = writerOf(file)
  const connection = connect(file, false)
  const pages = pagesOf(connection, file)
  let attempts = 0
  pages.take(() => {
    if (attempts++ === 0) writer.run(`update t set note = 'while it begins'`)
    begin(connection)
  })
  expect(attempts).toBe(2)
  expect(pages.images).toBeDefined()
  pages.take(() => {
    writer.run(`update t set note = 'and again', small = ${attempts++}`)
    begin(connection)
  })
  expect(pages.images).toBeUndefined()
  expect(connection.inTransaction).toBe(true)
  // A checkpoint alone changes what is to be read from where.
  attempts = 0
  connection.run('rollback')
  pages.take(() => {
    if (attempts++ === 0) writer.rows('pragma wal_checkpoint(passive)')
    begin(connection)
  })
  expect(attempts).toBe(2)
  expect(pages.images?.inWal.size).toBe(0)
})

onLinux(
  'what is damaged gives an error or other rows, but ends',
  () => {
    const file = filled(1500)
    writerOf(file).rows('pragma wal_checkpoint(truncate)')
    const snapshot = snapshotOf(file)
    const spec = specOf(COLUMNS)
    const plan = planned(snapshot, spec)
    const whole = readFileSync(file)
    const copy = path.join(directory, 'damaged')
    const errors = new Set<string>()
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 400 }), fc.nat(), (flips, cut) => {
        const damaged = Buffer.from(whole.subarray(0, cut % 5 === 0 ? cut % whole.length : whole.length))
        for (const [at, byte] of flips) if (at < damaged.length) damaged[at] = byte
        writeFileSync(copy, damaged)
        const database = openSync(copy, 'r')
        try {
          const images = { ...snapshot.images, files: { ...snapshot.images.files, database } }
          const own = { ...spec, taken: new Int32Array(new SharedArrayBuffer(4)) }
          readAll(new PageCursor(images, own, plan), own)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
          expect((error as Error).message).toContain('store')
          errors.add((error as Error).message.replaceAll(/\d+/g, 'n'))
        } finally {
          closeSync(database)
        }
      }),
      { numRuns: 150 },
    )
    expect(errors.size).toBeGreaterThan(2)
  },
  60_000,
)

test('no descriptor is borrowed from a connection to another file', () => {
  const file = filled(100)
  const other = filled(100)
  const connection = connect(file, false)
  connection.rows('select 1 from t limit 1')
  expect(borrowFiles(connection.db, other)).toBeUndefined()
})
