import { type Pointer, read } from 'bun:ffi'
import type { Database } from 'bun:sqlite'
import { constants } from 'bun:sqlite'
import { readdirSync, readlinkSync, realpathSync } from 'node:fs'
import type { StoreFiles } from './images.ts'

// Of `unixFile`, behind three pointers.
const DESCRIPTOR_AT = 24

/**
 * The descriptors that a connection itself reads with: open for as long as it is, once it has read something. No file is opened here,
 * because closing any descriptor of a file drops the process's POSIX locks on it, SQLite's among them. undefined where they are not
 * found for certain: each has to lead to the file that it should.
 */
export const borrowFiles = (db: Database, file: string): StoreFiles | undefined => {
  if (process.platform !== 'linux') return undefined
  const database = descriptorOf(db, constants.SQLITE_FCNTL_FILE_POINTER)
  const wal = descriptorOf(db, constants.SQLITE_FCNTL_JOURNAL_POINTER)
  const path = realpathSync(file)
  if (database === undefined || target(database) !== path) return undefined
  if (wal === undefined || target(wal) !== `${path}-wal`) return undefined
  // All connections of a process share it.
  const indexes = readdirSync(DESCRIPTORS).filter((descriptor) => target(descriptor) === `${path}-shm`)
  return indexes.length === 1 ? { database, wal, index: Number(indexes[0]) } : undefined
}

const DESCRIPTORS = '/proc/self/fd'

const descriptorOf = (db: Database, pointer: number): number | undefined => {
  const address = new BigUint64Array(1)
  if (db.fileControl(pointer, address) !== 0 || !address[0]) return undefined
  return read.i32(Number(address[0]) as Pointer, DESCRIPTOR_AT)
}

const target = (descriptor: number | string): string | undefined => {
  try {
    return readlinkSync(`${DESCRIPTORS}/${descriptor}`)
  } catch {
    return undefined
  }
}
