// Faults on order: each says which requests it is for and what befalls them.

export type FaultKind =
  /** 503 SlowDown before anything is done. */
  | { readonly kind: 'slow-down' }
  /** Any status and code before anything is done; 409 `Conflict` is `{ status: 409, code: 'Conflict' }`. */
  | { readonly kind: 'error'; readonly status: number; readonly code: string }
  /** The connection is cut before anything is done. */
  | { readonly kind: 'drop' }
  /** The request is carried out, and the connection cut instead of the answer (a lost commit answer, for example). */
  | { readonly kind: 'lost-answer' }
  /** The connection is cut after so many frames of a query answer; `bytes` cuts inside the next frame. */
  | { readonly kind: 'drop-at-frame'; readonly frame: number; readonly bytes?: number }
  /** The failed marker comes after so many frames of a query answer. */
  | { readonly kind: 'failed-marker'; readonly frame: number; readonly code?: number }
  /** The answer waits so many milliseconds. */
  | { readonly kind: 'delay'; readonly ms: number }

export type Fault = FaultKind & {
  /** Only requests of this method, this command (`rows`, `data`, `transaction` …), this part of the path. Absent: any. */
  readonly method?: string
  readonly command?: string
  readonly path?: string
  /** So many matching requests pass first. Default 0. */
  readonly skip?: number
  /** So many are hit then. Default 1. */
  readonly times?: number
}

export interface RequestKey {
  readonly method: string
  readonly command: string
  readonly path: string
}

const matches = (fault: Fault, { method, command, path }: RequestKey): boolean =>
  (fault.method === undefined || fault.method === method) &&
  (fault.command === undefined || fault.command === command) &&
  (fault.path === undefined || path.includes(fault.path))

const KINDS: readonly string[] = [
  'slow-down',
  'error',
  'drop',
  'lost-answer',
  'drop-at-frame',
  'failed-marker',
  'delay',
] satisfies FaultKind['kind'][]

/** What was ordered and not used up. */
export class Faults {
  #waiting: { readonly fault: Fault; seen: number }[] = []

  add(...faults: readonly Fault[]): void {
    for (const fault of faults) {
      if (!KINDS.includes(fault.kind)) throw new TypeError(`a fault of kind ${JSON.stringify(fault.kind)} is not known`)
      this.#waiting.push({ fault, seen: 0 })
    }
  }

  clear(): void {
    this.#waiting = []
  }

  get pending(): readonly Fault[] {
    return this.#waiting.map(({ fault }) => fault)
  }

  /** The fault that befalls a request: the first that matches and whose turn it is. Every matching one counts it. */
  take(request: RequestKey): Fault | undefined {
    let hit: Fault | undefined
    for (const entry of this.#waiting) {
      if (!matches(entry.fault, request)) continue
      entry.seen += 1
      if (hit === undefined && entry.seen > (entry.fault.skip ?? 0)) hit = entry.fault
    }
    this.#waiting = this.#waiting.filter(({ fault, seen }) => seen < (fault.skip ?? 0) + (fault.times ?? 1))
    return hit
  }
}
