import type { Row } from '../storage/schema.ts'

/**
 * A large deletion of segments hides them in one transaction; a worker removes their rows behind it, or moves them to the trash. A
 * large restore puts rows back behind such a curtain and opens it at the end. What is hidden is kept with the flow as stretches of
 * `start_ns`: a segment is hidden when it starts in one of them. Stretches do not overlap.
 */
export interface HiddenStretch {
  readonly startNs: bigint
  readonly endNs: bigint
  /** Who works it off: a delete request, or the deletion that is being restored. */
  readonly requestId: string
  readonly kind: HiddenKind
  /** Of `trash`: the deletion whose timeline the rows go to. */
  readonly deletionId?: string
}

/** What becomes of the rows: they go for good, go to the trash, or come back. */
export type HiddenKind = 'delete' | 'trash' | 'restore'

type Holder = { readonly hidden?: Row<'flows'>['hidden'] }

type Stored = [start: string, end: string, requestId: string, kind?: HiddenKind, deletionId?: string]

/** More stretches than this are not kept with a flow: its row has to fit into its cells, and each segment is compared with all. */
export const MAX_STRETCHES = 400

/** Most flows have none: the common case costs a comparison. By start. */
export const hiddenStretches = (flow: Holder): HiddenStretch[] =>
  flow.hidden == null
    ? []
    : (JSON.parse(flow.hidden) as Stored[]).map(([start, end, requestId, kind = 'delete', deletionId]) => ({
        startNs: BigInt(start),
        endNs: BigInt(end),
        requestId,
        kind,
        ...(deletionId !== undefined && { deletionId }),
      }))

export const hiddenColumn = (stretches: readonly HiddenStretch[]): string | null => {
  const kept = stretches.filter(({ startNs, endNs }) => startNs < endNs)
  kept.sort((a, b) => (a.startNs < b.startNs ? -1 : a.startNs > b.startNs ? 1 : 0))
  return kept.length === 0 ? null : JSON.stringify(kept.map(stored))
}

const stored = ({ startNs, endNs, requestId, kind, deletionId }: HiddenStretch): Stored => {
  const place = [String(startNs), String(endNs), requestId] as const
  return kind === 'delete' ? [...place] : [...place, kind, ...(deletionId === undefined ? ([] as const) : ([deletionId] as const))]
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

/** What of [`startNs`, `endNs`) is not hidden yet, as stretches of a new request. */
export const newlyHidden = (stretches: readonly HiddenStretch[], stretch: HiddenStretch): HiddenStretch[] =>
  visibleStretches(stretches, stretch.startNs, stretch.endNs).map(({ startNs = stretch.startNs, endNs = stretch.endNs }) => ({
    ...stretch,
    startNs,
    endNs,
  }))
