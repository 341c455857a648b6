import { type DiskFile, type DiskFs, nodeFs } from '../../../src/storage/disk/index.ts'

export interface FaultyFs {
  readonly fs: DiskFs
  /** Calls made since `arm`, in order. */
  readonly calls: string[]
  /** Counts from here; call number `failing` (from 1; 0: none) fails, and with `forever` all that follow, as if the process had died. */
  arm(failing: number, options?: { readonly forever?: boolean; readonly code?: string }): void
  disarm(): void
}

const errno = (code: string, call: string) => Object.assign(new Error(`${code}: injected into ${call}`), { code })

/** The real file system, with one system call after the other made to fail. */
export const faultyFs = (): FaultyFs => {
  const calls: string[] = []
  let fails: ((count: number) => boolean) | undefined
  let failureCode = 'EIO'

  const call = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    if (fails) {
      calls.push(name)
      if (fails(calls.length)) throw errno(failureCode, name)
    }
    return work()
  }

  const wrap = (file: DiskFile): DiskFile => ({
    read: (...args) => call('read', () => file.read(...args)),
    write: (...args) => call('write', () => file.write(...args)),
    stat: () => call('fstat', () => file.stat()),
    utimes: (...args) => call('futimes', () => file.utimes(...args)),
    sync: () => call('fsync', () => file.sync()),
    close: async () => {
      // Closed in any case: a test must not leak descriptors.
      await file.close()
      return call('close', async () => undefined)
    },
  })

  return {
    calls,
    fs: {
      open: async (...args) => wrap(await call('open', () => nodeFs.open(...args))),
      stat: (...args) => call('stat', () => nodeFs.stat(...args)),
      readFile: (...args) => call('readFile', () => nodeFs.readFile(...args)),
      rename: (...args) => call('rename', () => nodeFs.rename(...args)),
      link: (...args) => call('link', () => nodeFs.link(...args)),
      unlink: (...args) => call('unlink', () => nodeFs.unlink(...args)),
      mkdir: (...args) => call('mkdir', () => nodeFs.mkdir(...args)),
      readdir: (...args) => call('readdir', () => nodeFs.readdir(...args)),
      statfs: (...args) => call('statfs', () => nodeFs.statfs(...args)),
    },
    arm(failing, { forever = false, code = 'EIO' } = {}) {
      calls.length = 0
      failureCode = code
      fails = (count) => (forever ? count >= failing : count === failing)
    },
    disarm() {
      fails = undefined
    },
  }
}
