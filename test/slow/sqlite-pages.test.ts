import { afterEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  begin,
  byPages,
  bySql,
  closeConnections,
  connect,
  createTable,
  pagesOf,
  specOf,
  writerOf,
} from '../storage/sqlite/pages-support.ts'

const MINUTE = 60_000
const COLUMNS = ['id', 'at', 'note', 'big', 'small', 'real', 'flag']
const SNAPSHOTS = 60
/** At least, with pages in the WAL and without: which of them comes is chance. */
const OF_EACH = 6
const KILLED_AFTER = 15

let directory = ''
afterEach(() => {
  closeConnections()
  rmSync(directory, { recursive: true })
})

test.skipIf(process.platform !== 'linux')(
  'pages of a snapshot hold what SQLite reads in it, while other processes write, make checkpoints, pack the file and are killed',
  async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'tams-pages-'))
    const file = path.join(directory, 'store.sqlite')
    const writer = writerOf(file)
    createTable(writer)
    for (let i = 0; i < 400; i++) writer.run('insert into t (id, at, note, big) values (?, ?, ?, ?)', [`id ${i % 7}`, i, 'x'.repeat(i), i])
    const programs: Bun.Subprocess<'ignore', 'pipe', 'inherit'>[] = []
    const start = async (): Promise<void> => {
      const program = path.join(import.meta.dir, 'sqlite-pages-program.ts')
      const started = Bun.spawn([process.execPath, program, file, `${programs.length + 1}`], { stdout: 'pipe', stderr: 'inherit' })
      programs.push(started)
      await started.stdout.getReader().read()
    }
    try {
      await start()
      await start()
      const connection = connect(file, false)
      const pages = pagesOf(connection, file)
      const seen = { inWal: 0, inFile: 0, unknown: 0 }
      while (seen.inWal + seen.inFile < SNAPSHOTS || Math.min(seen.inWal, seen.inFile) < OF_EACH) {
        if (connection.inTransaction) connection.run('rollback')
        // Otherwise nearly always somebody has written since the last one.
        if (seen.inFile < seen.inWal) whenFree(() => writer.rows('pragma wal_checkpoint(passive)'))
        pages.take(() => whenFree(() => begin(connection)))
        const { images } = pages
        if (!images) {
          seen.unknown++
          continue
        }
        seen[images.inWal.size > 0 ? 'inWal' : 'inFile']++
        const snapshot = { connection, images }
        const spec = specOf(COLUMNS)
        const rows = byPages(snapshot, spec)
        expect(rows.length).toBeGreaterThan(0)
        expect(rows).toEqual(bySql(snapshot, COLUMNS))
        if ((seen.inWal + seen.inFile) % KILLED_AFTER > 0) continue
        expect(programs.at(-1)?.exitCode).toBeNull()
        // Perhaps in the middle of a commit: then the next one recovers.
        programs.at(-1)?.kill('SIGKILL')
        await start()
      }
      expect(programs[0]?.exitCode).toBeNull()
    } finally {
      for (const program of programs) program.kill()
      await Promise.all(programs.map(({ exited }) => exited))
    }
  },
  9 * MINUTE,
)

// A restart of the WAL keeps readers out for a moment.
const whenFree = (attempt: () => void): void => {
  for (let free = false; !free; ) {
    try {
      attempt()
      free = true
    } catch (error) {
      if (!String(error).includes('locked')) throw error
    }
  }
}
