import { type Static, Type } from '@sinclair/typebox'
import { toMicroseconds } from '../core/clock.ts'
import { invalid, isTamsError, TamsError } from '../core/errors.ts'

export const MAX_BATCH = 1000

/** What became of the items of a batch. `index` counts from 0; `id` is absent where the item has none. */
export const BatchResult = Type.Object({
  created: Type.Array(Type.String()),
  failed: Type.Array(
    Type.Object({
      index: Type.Integer(),
      id: Type.Optional(Type.String()),
      error: Type.Object({
        type: Type.String(),
        summary: Type.String(),
        time: Type.String({ format: 'date-time' }),
        message: Type.String(),
      }),
    }),
  ),
})
export type BatchResult = Static<typeof BatchResult>

/** Throws `invalid` unless the body is a list of at most `MAX_BATCH` items. */
export const batchItems = (body: unknown): readonly unknown[] => {
  if (!Array.isArray(body)) throw invalid('body', 'is not a list')
  if (body.length > MAX_BATCH) throw invalid('body', `has ${body.length} items; at most ${MAX_BATCH} are taken at once`)
  return body
}

/**
 * Makes each item in a transaction of its own (the engines commit those of one moment together), so that a bad item takes no other
 * with it. Items of `last` wait for all others and then come in their order: they may name them. Rejects only when nothing was made
 * and the first failure says nothing about the item itself.
 */
export const makeEach = async (
  items: readonly unknown[],
  make: (item: unknown) => Promise<{ readonly id: string }>,
  nowUs: () => bigint,
  last: (item: unknown) => boolean = () => false,
): Promise<BatchResult> => {
  const results: PromiseSettledResult<{ readonly id: string }>[] = []
  const attempt = async (index: number): Promise<void> => {
    const [result] = await Promise.allSettled([make(items[index])])
    results[index] = result
  }
  await Promise.all(items.flatMap((item, index) => (last(item) ? [] : [attempt(index)])))
  for (const [index, item] of items.entries()) if (last(item)) await attempt(index)
  const created: string[] = []
  const failed: BatchResult['failed'] = []
  for (const [index, result] of results.entries()) {
    if (result.status === 'fulfilled') created.push(result.value.id)
    else failed.push({ index, ...idOf(items[index]), error: errorOf(result.reason, nowUs()) })
  }
  const outage = results.find((result) => result.status === 'rejected' && !blamesItem(result.reason))
  if (created.length === 0 && outage?.status === 'rejected') throw outage.reason
  return { created, failed }
}

const idOf = (item: unknown): { id?: string } => {
  const id = typeof item === 'object' && item !== null && 'id' in item ? item.id : undefined
  return typeof id === 'string' ? { id } : {}
}

const blamesItem = (reason: unknown): boolean =>
  isTamsError(reason) && !['unavailable', 'storage_full', 'timeout', 'internal'].includes(reason.code)

const errorOf = (reason: unknown, nowUs: bigint) => {
  const { code, message } = isTamsError(reason) ? reason : new TamsError('internal', 'The item failed for a reason of the server')
  return { type: code, summary: message, time: toMicroseconds(nowUs), message }
}
