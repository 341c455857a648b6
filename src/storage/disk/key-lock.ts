/** Runs the works of one key one after the other; works of different keys do not wait for each other. */
export const createKeyLock = () => {
  const last = new Map<string, Promise<unknown>>()
  return async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const before = last.get(key)
    const own = before === undefined ? work() : before.then(work, work)
    last.set(key, own)
    try {
      return await own
    } finally {
      if (last.get(key) === own) last.delete(key)
    }
  }
}

export type KeyLock = ReturnType<typeof createKeyLock>
