import { open, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { Connection } from './connection.ts'
import { retryWhileBusy } from './wait.ts'

/**
 * One snapshot of the store in a file of its own, as it is while others write: whole and synced under `target`, or not there. What
 * `target` was before is replaced. Takes the room of the store once more, and no lock that a writer would notice. Busy for as long as
 * it takes: not for a process that serves.
 */
export const copySqlite = async (file: string, target: string, busyTimeoutMs = 5000): Promise<void> => {
  const temporary = `${target}.new`
  await rm(temporary, { force: true })
  try {
    await retryWhileBusy(() => vacuumInto(file, temporary), busyTimeoutMs, 'copying the store')
    await syncFile(temporary)
    await rename(temporary, target)
    await syncFile(path.dirname(target))
  } finally {
    await rm(temporary, { force: true })
  }
}

const vacuumInto = (file: string, target: string): void => {
  const connection = new Connection({ file, writes: true })
  try {
    connection.run('vacuum into ?', [target])
  } finally {
    connection.close()
  }
}

// The copy is open in no connection: closing a descriptor of it takes no lock away.
const syncFile = async (file: string): Promise<void> => {
  const handle = await open(file, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** What is wrong with the pages of the file, in the words of SQLite; empty where nothing is. Reads all of it. */
export const inspectSqlite = (file: string, { thorough = false }: { readonly thorough?: boolean } = {}): readonly string[] => {
  const connection = new Connection({ file, writes: false })
  try {
    const rows = connection.rows(thorough ? 'pragma integrity_check' : 'pragma quick_check')
    return rows.map((row) => String(Object.values(row)[0])).filter((line) => line !== 'ok')
  } finally {
    connection.close()
  }
}
