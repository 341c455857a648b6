import type { Row } from '../storage/schema.ts'

/**
 * A large deletion of segments hides them in one transaction; a worker removes their rows behind it. What is hidden is kept with
 * the flow as stretches of `start_ns`: a segment is hidden when it starts in one of them.
 */
export interface HiddenStretch {
  readonly startNs: bigint
  readonly endNs: bigint
  /** The delete request that works it off. */
  readonly requestId: string
}

type Holder = { readonly hidden?: Row<'flows'>['hidden'] }

/** Most flows have none: the common case costs a comparison. By start. */
export const hiddenStretches = (flow: Holder): HiddenStretch[] =>
  flow.hidden == null
    ? []
    : (JSON.parse(flow.hidden) as [string, string, string][]).map(([start, end, requestId]) => ({
        startNs: BigInt(start),
        endNs: BigInt(end),
        requestId,
      }))

export const hiddenColumn = (stretches: readonly HiddenStretch[]): string | null => {
  const kept = stretches.filter(({ startNs, endNs }) => startNs < endNs)
  kept.sort((a, b) => (a.startNs < b.startNs ? -1 : a.startNs > b.startNs ? 1 : 0))
  return kept.length === 0 ? null : JSON.stringify(kept.map(({ startNs, endNs, requestId }) => [String(startNs), String(endNs), requestId]))
}

export const hiding = (stretches: readonly HiddenStretch[], ns: bigint): HiddenStretch | undefined =>
  stretches.find(({ startNs, endNs }) => startNs <= ns && ns < endNs)

/** Room for something new in [`startNs`, `endNs`): nothing that starts there is hidden any more. */
export const uncover = (stretches: readonly HiddenStretch[], startNs: bigint, endNs: bigint): HiddenStretch[] =>
  stretches.flatMap((stretch) =>
    stretch.endNs <= startNs || endNs <= stretch.startNs
      ? [stretch]
      : [
          { ...stretch, endNs: startNs },
          { ...stretch, startNs: endNs },
        ].filter((part) => part.startNs < part.endNs),
  )

/** The stretches of [`startNs`, `endNs`) in which nothing is hidden; absent bounds are open. */
export const visibleStretches = (
  stretches: readonly HiddenStretch[],
  startNs: bigint | undefined,
  endNs: bigint | undefined,
): { readonly startNs: bigint | undefined; readonly endNs: bigint | undefined }[] => {
  const visible: { startNs: bigint | undefined; endNs: bigint | undefined }[] = []
  let from = startNs
  for (const hidden of stretches) {
    if (from === undefined || from < hidden.startNs) visible.push({ startNs: from, endNs: hidden.startNs })
    if (from === undefined || from < hidden.endNs) from = hidden.endNs
  }
  visible.push({ startNs: from, endNs })
  return visible.flatMap((part) => {
    const end = endNs !== undefined && (part.endNs === undefined || part.endNs > endNs) ? endNs : part.endNs
    return part.startNs !== undefined && end !== undefined && part.startNs >= end ? [] : [{ startNs: part.startNs, endNs: end }]
  })
}
