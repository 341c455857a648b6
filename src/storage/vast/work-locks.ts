/** Why a work has to run again in a later batch; nothing of this run is kept. */
export class RunAgain extends Error {
  constructor(reason: string) {
    super(`this write work runs again: ${reason}`)
    this.name = 'RunAgain'
  }
}

interface Waiter {
  readonly owner: object
  readonly granted: () => void
  readonly refused: (error: RunAgain) => void
}

interface Lock {
  readonly holder: object
  readonly waiting: Waiter[]
}

/**
 * Locks among the works of one batch, which share a transaction and so cannot collide in the store: of two that hold the same key the
 * later waits for the earlier. Keys are granted in the order in which they were asked for.
 */
export class WorkLocks {
  readonly #locks = new Map<string, Lock>()
  /** What each holds. */
  readonly #held = new Map<object, string[]>()
  readonly #waitsFor = new Map<object, string>()
  #closed = false

  /** Resolves when `owner` holds all keys. Rejects with `RunAgain` where that would never be, or not in this batch. */
  async acquire(owner: object, keys: readonly string[]): Promise<void> {
    for (const key of [...new Set(keys)].sort()) {
      const lock = this.#locks.get(key)
      if (!lock) this.#give(key, { holder: owner, waiting: [] })
      else if (lock.holder !== owner) await this.#wait(lock, owner, key)
    }
  }

  release(owner: object): void {
    const keys = this.#held.get(owner) ?? []
    this.#held.delete(owner)
    for (const key of keys) {
      const waiting = this.#locks.get(key)?.waiting ?? []
      const next = waiting.shift()
      if (!next) this.#locks.delete(key)
      else {
        this.#give(key, { holder: next.owner, waiting })
        this.#waitsFor.delete(next.owner)
        next.granted()
      }
    }
  }

  #give(key: string, lock: Lock): void {
    this.#locks.set(key, lock)
    this.#held.getOrInsertComputed(lock.holder, () => []).push(key)
  }

  /** Sends away who waits and who would have to. */
  close(): void {
    this.#closed = true
    for (const lock of this.#locks.values())
      for (const { owner, refused } of lock.waiting.splice(0)) {
        this.#waitsFor.delete(owner)
        refused(new RunAgain('its lock was held for long'))
      }
  }

  #wait(lock: Lock, owner: object, key: string): Promise<void> {
    if (this.#closed) return Promise.reject(new RunAgain('its lock was held for long'))
    if (this.#wouldDeadlock(lock, owner)) return Promise.reject(new RunAgain('two works wait for the locks of each other'))
    this.#waitsFor.set(owner, key)
    return new Promise((granted, refused) => lock.waiting.push({ owner, granted, refused }))
  }

  #wouldDeadlock(lock: Lock, owner: object): boolean {
    const seen = new Set<object>()
    for (let holder = lock.holder; !seen.has(holder); ) {
      if (holder === owner) return true
      seen.add(holder)
      const next = this.#locks.get(this.#waitsFor.get(holder) ?? '')
      if (!next) return false
      holder = next.holder
    }
    return false
  }
}
