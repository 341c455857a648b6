interface Slot<R> {
  readonly settled: Promise<void>
  /** Set once it is done: gives the result or throws the failure. */
  take?: () => R
}

export interface InOrderOptions {
  /** How many run at once. */
  readonly concurrency: number
  /** How many may be started and not yet handed over; at least `concurrency`. */
  readonly window: number
}

/**
 * Works on items side by side and hands the results over in the order of the items, as many as are ready at a time and at least one.
 * After a failure everything before the failed item has been handed over; what runs is waited for, and nothing new is begun.
 */
export async function* inOrder<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  work: (item: T) => Promise<R>,
  { concurrency, window }: InOrderOptions,
): AsyncGenerator<readonly R[]> {
  const slots: Slot<R>[] = []
  const gate = new Gate(concurrency)
  const source = iterate(items)
  let ended = false
  try {
    for (;;) {
      while (!ended && slots.length < window) {
        const next = await source.next()
        if (next.done) ended = true
        else slots.push(start(gate, () => work(next.value)))
      }
      const [head] = slots
      if (!head) return
      await head.settled
      const ready: R[] = []
      let failure: { readonly error: unknown } | undefined
      while (slots[0]?.take && !failure) {
        try {
          ready.push(slots[0].take())
          slots.shift()
        } catch (error) {
          failure = { error }
        }
      }
      if (ready.length > 0) yield ready
      if (failure) throw failure.error
    }
  } finally {
    gate.close()
    await Promise.all(slots.map((slot) => slot.settled))
    await source.return?.(undefined)
  }
}

async function* iterate<T>(items: AsyncIterable<T> | Iterable<T>): AsyncGenerator<T> {
  yield* items
}

const start = <R>(gate: Gate, work: () => Promise<R>): Slot<R> => {
  const slot: { settled: Promise<void>; take?: () => R } = { settled: Promise.resolve() }
  slot.settled = gate.enter(work).then(
    (result) => {
      slot.take = () => result
    },
    (error: unknown) => {
      slot.take = () => {
        throw error
      }
    },
  )
  return slot
}

/** Lets so many through at once, in the order in which they came. */
class Gate {
  private readonly waiting: (() => void)[] = []
  private free: number
  private closed = false

  constructor(places: number) {
    this.free = places
  }

  async enter<R>(work: () => Promise<R>): Promise<R> {
    if (this.free === 0) await new Promise<void>((resolve) => this.waiting.push(resolve))
    else this.free--
    try {
      if (this.closed) throw new Error('stopped before it began')
      return await work()
    } finally {
      const next = this.waiting.shift()
      if (next) next()
      else this.free++
    }
  }

  close(): void {
    this.closed = true
  }
}
