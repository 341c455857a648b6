import { afterAll } from 'bun:test'
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import path from 'node:path'

// Loaded before every test file. The tests must not depend on the machine's settings, so the one thing that
// could differ between machines and is not part of any test, the time zone, is fixed here.
process.env.TZ = 'UTC'

// Temporary directories lie in memory where there is room: a third of the suite's time was waiting for disks to sync the commits of
// small stores. Set TMPDIR to have them elsewhere.
const MEMORY = '/dev/shm'
const ENOUGH_BYTES = 4 * 1024 ** 3
const OURS = /^\/dev\/shm\/tams-tests-(\d+)$/

const remove = (directory: string): void => rmSync(directory, { recursive: true, force: true })

const useMemory = (): void => {
  for (const name of readdirSync(MEMORY)) {
    // What a run that has ended has left.
    const pid = OURS.exec(path.join(MEMORY, name))?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) remove(path.join(MEMORY, name))
  }
  const { bavail, bsize } = statfsSync(MEMORY)
  if (bavail * bsize < ENOUGH_BYTES) return
  const directory = path.join(MEMORY, `tams-tests-${process.pid}`)
  mkdirSync(directory, { recursive: true })
  process.env.TMPDIR = directory
  // At the end, or after each file where several processes share the work: the directory itself is still needed then.
  afterAll(() => {
    for (const name of readdirSync(directory)) remove(path.join(directory, name))
  })
}

// A process that runs files for another one has its variables.
if ((process.env.TMPDIR === undefined || OURS.test(process.env.TMPDIR)) && existsSync(MEMORY)) useMemory()
