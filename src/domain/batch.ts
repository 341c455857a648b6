import { type Static, Type } from '@sinclair/typebox'
import { toMicroseconds } from '../core/clock.ts'
import { invalid, isTamsError, TamsError } from '../core/errors.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'

export const MAX_BATCH = 1000

/** Why an item failed, in the members of an error answer. */
export const ItemError = Type.Object({
  type: Type.String(),
  summary: Type.String(),
  time: Type.String({ format: 'date-time' }),
  message: Type.String(),
})

/** What became of the items of a batch. `index` counts from 0; `id` is absent where the item has none. */
export const BatchResult = Type.Object({
  created: Type.Array(Type.String()),
  failed: Type.Array(Type.Object({ index: Type.Integer(), id: Type.Optional(Type.String()), error: ItemError })),
})
export type BatchResult = Static<typeof BatchResult>

/** Throws `invalid` unless the body is a list of at most `MAX_BATCH` items. */
export const batchItems = (body: unknown): readonly unknown[] => {
  if (!Array.isArray(body)) throw invalid('body', 'is not a list')
  if (body.length > MAX_BATCH) throw invalid('body', `has ${body.length} items; at most ${MAX_BATCH} are taken at once`)
  return body
}

export interface Attempts<T> {
  readonly done: readonly T[]
  readonly failed: readonly { readonly index: number; readonly error: Static<typeof ItemError> }[]
}

type BatchDeps = Pick<Deps, 'clock' | 'log'>

/**
 * Does something for each item in a transaction of its own (the engines commit those of one moment together), so that a bad item takes
 * no other with it. Items of `inLine` wait for all others and then come in their order; once the store is away, those left are not
 * tried. Rejects only when nothing was done and the first failure says nothing about the item itself; such failures of some items are
 * logged.
 */
export const attemptEach = async <I, T>(
  { clock, log }: BatchDeps,
  context: Pick<Context, 'requestId'>,
  items: readonly I[],
  attempt: (item: I) => Promise<T>,
  inLine: (item: I) => boolean,
): Promise<Attempts<T>> => {
  const results: PromiseSettledResult<T>[] = []
  const settle = async (index: number, item: I): Promise<PromiseSettledResult<T>> => {
    const [result] = await Promise.allSettled([attempt(item)])
    results[index] = result
    return result
  }
  await Promise.all(items.flatMap((item, index) => (inLine(item) ? [] : [settle(index, item)])))
  let away: PromiseRejectedResult | undefined
  for (const [index, item] of items.entries()) {
    if (!inLine(item)) continue
    if (away) results[index] = away
    else {
      const result = await settle(index, item)
      if (result.status === 'rejected' && isAway(result.reason)) away = result
    }
  }
  const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failures = results.flatMap((result, index) =>
    result.status === 'rejected' ? [{ index, reason: result.reason, blameless: isAway(result.reason) || isBug(result.reason) }] : [],
  )
  const blameless = failures.filter((failure) => failure.blameless)
  if (done.length === 0 && blameless[0]) throw blameless[0].reason
  for (const [, alike] of Map.groupBy(blameless, ({ reason }) => String(reason))) {
    const detail = { request_id: context.requestId, items: alike.map(({ index }) => index), err: alike[0]?.reason }
    log?.[isBug(detail.err) ? 'error' : 'warn'](detail, 'items of a batch failed')
  }
  return { done, failed: failures.map(({ index, reason }) => ({ index, error: errorOf(reason, clock.nowUs()) })) }
}

/** Makes each item (`attemptEach`). Those of `last` may name the others. */
export const makeEach = async (
  deps: BatchDeps,
  context: Context,
  items: readonly unknown[],
  make: (item: unknown) => Promise<{ readonly id: string }>,
  last: (item: unknown) => boolean = () => false,
): Promise<BatchResult> => {
  const { done, failed } = await attemptEach(deps, context, items, make, last)
  return {
    created: done.map(({ id }) => id),
    failed: failed.map(({ index, error }) => ({ index, ...idOf(items[index]), error })),
  }
}

const idOf = (item: unknown): { id?: string } => {
  const id = typeof item === 'object' && item !== null && 'id' in item ? item.id : undefined
  return typeof id === 'string' ? { id } : {}
}

const isAway = (reason: unknown): boolean => isTamsError(reason) && ['unavailable', 'storage_full', 'timeout'].includes(reason.code)
const isBug = (reason: unknown): boolean => !isTamsError(reason) || reason.code === 'internal'

const errorOf = (reason: unknown, nowUs: bigint): Static<typeof ItemError> => {
  const { code, message } = isTamsError(reason) ? reason : new TamsError('internal', 'The item failed for a reason of the server')
  return { type: code, summary: message, time: toMicroseconds(nowUs), message }
}
