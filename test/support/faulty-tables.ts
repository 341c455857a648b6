import type { Tables, WriteTx } from '../../src/storage/tables.ts'

export class InjectedFault extends Error {}

export interface FaultyTables {
  readonly tables: Tables
  /** Calls of transaction methods since the last `arm`. */
  readonly calls: number
  /** The n-th call from now on does its work and then throws; 0: none does. */
  arm(n: number): void
}

/** The same tables, of whose calls inside write transactions a chosen one fails. */
export const faultyTables = (tables: Tables, makeFault: () => Error = () => new InjectedFault('an injected fault')): FaultyTables => {
  let calls = 0
  let failing = 0
  const failAfter = async <T>(call: Promise<T>): Promise<T> => {
    const value = await call
    calls++
    if (calls === failing) throw makeFault()
    return value
  }
  const wrap = (tx: WriteTx): WriteTx => {
    const counted = (name: keyof WriteTx): boolean => !['scan', 'version', 'readLog', 'prefetch'].includes(name)
    return new Proxy(tx, {
      get(target, name: keyof WriteTx) {
        const method = target[name].bind(target) as (...values: unknown[]) => Promise<unknown>
        return counted(name) ? (...values: unknown[]) => failAfter(method(...values)) : method
      },
    })
  }
  return {
    tables: {
      read: (work) => tables.read(work),
      write: (work) => tables.write((tx) => work(wrap(tx))),
      version: (table) => tables.version(table),
      check: (signal) => tables.check(signal),
      close: () => tables.close(),
    },
    get calls() {
      return calls
    },
    arm(n) {
      calls = 0
      failing = n
    },
  }
}
