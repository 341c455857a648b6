import { RunAgain } from './work-locks.ts'

/** A work needs what another batch of this process has taken; it can have it in a batch that begins later. */
export class TakenElsewhere extends RunAgain {
  /** @param after Resolves when a batch may begin that finds it free. */
  constructor(readonly after: Promise<void>) {
    super('another batch has its lock or its row')
    this.name = 'TakenElsewhere'
  }
}

/**
 * What the batches under way in this process have taken: lock slots and rows. Two batches at a time would collide in the store on any of them. What a
 * batch has taken stays so until all that began before its end have ended too: they do not see what it wrote.
 */
export class Claims {
  readonly #owners = new Map<string, Claimant>()
  readonly #open = new Set<Claimant>()
  readonly #ended = new Set<Claimant>()

  /** To be called before the batch's snapshot is taken. */
  open(): Claimant {
    const claimant = new Claimant(this)
    this.#open.add(claimant)
    return claimant
  }

  /** Takes all names for `claimant`, or throws `TakenElsewhere` and takes none. */
  take(claimant: Claimant, names: readonly string[]): void {
    for (const name of names) {
      const owner = this.#owners.get(name)
      if (owner && owner !== claimant && (this.#open.has(owner) || owner.overlapping.has(claimant))) throw new TakenElsewhere(owner.ended)
    }
    for (const name of names) {
      this.#owners.set(name, claimant)
      claimant.names.add(name)
    }
  }

  end(claimant: Claimant): void {
    if (!this.#open.delete(claimant)) return
    for (const other of this.#open) claimant.overlapping.add(other)
    this.#ended.add(claimant)
    for (const ended of this.#ended) {
      ended.overlapping.delete(claimant)
      if (ended.overlapping.size > 0) continue
      this.#ended.delete(ended)
      for (const name of ended.names) if (this.#owners.get(name) === ended) this.#owners.delete(name)
    }
  }
}

/** One batch. */
export class Claimant {
  readonly names = new Set<string>()
  /** Batches that have been open since before its end. */
  readonly overlapping = new Set<Claimant>()
  readonly ended: Promise<void>
  readonly #resolve: () => void

  constructor(private readonly claims: Claims) {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ended = promise
    this.#resolve = resolve
  }

  take(names: readonly string[]): void {
    this.claims.take(this, names)
  }

  end(): void {
    this.claims.end(this)
    this.#resolve()
  }
}
