/**
 * What a TAMS store is, as simple as can be: lists in memory, rules as sentences. Flows, sources and objects go by small numbers or
 * names; times are whole seconds. Rows of a deletion that is still to be worked off stay here as `hidden`, because they still refer
 * to their objects.
 */
export interface ModelFlow {
  label: string | undefined
  tags: Record<string, string | string[]>
  collection: number[]
  readOnly: boolean
  /** Distinguishes a flow from one made again with its id. */
  readonly timeline: number
}

export interface ModelRow {
  readonly flow: number
  readonly timeline: number
  readonly start: number
  readonly end: number
  readonly object: string
  readonly offset: number
  hidden: boolean
}

export interface ModelObject {
  /** undefined: registered. */
  readonly allocatedFor?: number
  readonly start: number
  readonly end: number
  /** Whether its first segment said where it is. */
  readonly urls: boolean
}

export interface NewRow {
  readonly start: number
  readonly end: number
  readonly object: string
  readonly urls: boolean
  readonly offset: number
}

export interface Deletion {
  readonly start?: number | undefined
  readonly end?: number | undefined
  readonly object?: string | undefined
}

export const FLOWS = 5
/** Two flows share the first source, two that collect share the last. */
export const sourceOf = (flow: number): number => [0, 1, 0, 2, 2][flow] ?? 0
export const hasContainer = (flow: number): boolean => flow < 3
export const SOURCES = 3

const overlap = (a: { start: number; end: number }, b: { start: number; end: number }) => a.start < b.end && b.start < a.end
const byStart = (a: ModelRow, b: ModelRow) => a.start - b.start

export class Model {
  readonly flows = new Map<number, ModelFlow>()
  rows: ModelRow[] = []
  objects = new Map<string, ModelObject>()
  private timelines = 0

  constructor(readonly asyncThreshold: number) {}

  segments(flow: number): ModelRow[] {
    return this.rowsOf(flow)
      .filter((row) => !row.hidden)
      .sort(byStart)
  }

  /** Also the hidden ones. */
  rowsOf(flow: number): ModelRow[] {
    const timeline = this.flows.get(flow)?.timeline
    return this.rows.filter((row) => row.flow === flow && row.timeline === timeline)
  }

  /** Flows that refer to the object as far as clients can see; none: it is not there. */
  referencing(object: string): number[] {
    return [...this.flows.keys()].filter((flow) => this.rowsOf(flow).some((row) => row.object === object)).sort()
  }

  flowsOf(source: number): number[] {
    return [...this.flows.keys()].filter((flow) => sourceOf(flow) === source).sort()
  }

  collectors(flow: number): number[] {
    return [...this.flows].flatMap(([id, { collection }]) => (collection.includes(flow) ? [id] : [])).sort()
  }

  collectedSources(flow: number, members = this.flows.get(flow)?.collection ?? []): number[] {
    return [...new Set(members.map(sourceOf))].filter((source) => source !== sourceOf(flow))
  }

  putFlow(flow: number, change: Pick<ModelFlow, 'label' | 'tags' | 'collection'>): number {
    const known = this.flows.get(flow)
    if (known?.readOnly) return 403
    if (!this.mayCollect(flow, change.collection)) return 400
    if (known) Object.assign(known, change)
    else this.flows.set(flow, { ...change, readOnly: false, timeline: this.timelines++ })
    return known ? 204 : 201
  }

  setCollection(flow: number, members: number[]): number {
    return this.change(flow, (known) => {
      if (!this.mayCollect(flow, members)) return 400
      known.collection = members
      return 204
    })
  }

  private mayCollect(flow: number, members: readonly number[]): boolean {
    if (members.includes(flow) || new Set(members).size < members.length) return false
    if (members.some((member) => !this.flows.has(member))) return false
    if (members.some((member) => this.reaches(member, flow))) return false
    // A deletion may leave a contradiction behind; what stays as it is is not looked at again.
    if (this.flows.get(flow)?.collection.join() === members.join()) return true
    const sources = this.collectedSources(flow, [...members])
    return this.flowsOf(sourceOf(flow)).every((other) => {
      if (other === flow || members.length === 0) return true
      const theirs = this.collectedSources(other)
      const common = sources.filter((source) => theirs.includes(source))
      return common.join() === theirs.filter((source) => common.includes(source)).join()
    })
  }

  private reaches(from: number, to: number): boolean {
    return (this.flows.get(from)?.collection ?? []).some((member) => member === to || this.reaches(member, to))
  }

  change(flow: number, make: (known: ModelFlow) => number): number {
    const known = this.flows.get(flow)
    if (!known) return 404
    return known.readOnly ? 403 : make(known)
  }

  setReadOnly(flow: number, readOnly: boolean): number {
    const known = this.flows.get(flow)
    if (!known) return 404
    known.readOnly = readOnly
    return 204
  }

  allocate(flow: number, ids: readonly string[]): number {
    return this.change(flow, () => {
      if (!hasContainer(flow) || ids.some((id) => this.objects.has(id))) return 400
      for (const id of ids) this.objects.set(id, { allocatedFor: flow, start: 0, end: 0, urls: false })
      return 201
    })
  }

  sweepAllocations(): void {
    for (const [id, object] of this.objects) if (object.allocatedFor !== undefined) this.objects.delete(id)
  }

  /** The status, and of a list which of its elements were refused. */
  post(flow: number, segments: readonly NewRow[], single: boolean): { status: number; failed: number[] } {
    const failed: number[] = []
    const status = this.change(flow, ({ timeline }) => {
      if (!hasContainer(flow)) return 400
      const [rows, objects] = [this.rows, new Map(this.objects)]
      this.drop(this.rowsOf(flow).filter((row) => row.hidden && segments.some((segment) => overlap(row, segment))))
      for (const [index, segment] of segments.entries()) if (!this.add(flow, timeline, segment)) failed.push(index)
      if (!single || failed.length === 0) return failed.length === 0 ? 201 : 200
      this.rows = rows
      this.objects = objects
      return 400
    })
    return { status, failed }
  }

  private add(flow: number, timeline: number, { urls, ...segment }: NewRow): boolean {
    const object = this.objects.get(segment.object)
    const used = { start: segment.start - segment.offset, end: segment.end - segment.offset }
    const present = this.segments(flow).findLast((row) => overlap(row, segment))
    if (present) {
      const same = (['object', 'start', 'end', 'offset'] as const).every((name) => present[name] === segment[name])
      return same && (!urls || object?.urls === true)
    }
    if (object && object.allocatedFor === undefined) {
      if (urls || used.start < object.start || used.end > object.end) return false
    } else {
      if (object ? object.allocatedFor !== flow : !urls) return false
      this.objects.set(segment.object, { ...used, urls })
    }
    this.rows = [...this.rows, { flow, timeline, ...segment, hidden: false }]
    return true
  }

  deleteSegments(flow: number, { start = Number.NEGATIVE_INFINITY, end = Number.POSITIVE_INFINITY, object }: Deletion): number {
    return this.change(flow, () => {
      const covered = this.rowsOf(flow).filter((row) => start <= row.start && row.end <= end)
      const visible = covered.filter((row) => !row.hidden)
      if (visible.length === 0) return 204
      if (object === undefined && covered.length > this.asyncThreshold) {
        for (const row of visible) row.hidden = true
        return 202
      }
      this.drop(visible.filter((row) => object === undefined || row.object === object))
      return 204
    })
  }

  deleteFlow(flow: number): number {
    return this.change(flow, () => {
      const rows = this.rowsOf(flow)
      const later = rows.length > this.asyncThreshold
      for (const row of rows) row.hidden = true
      this.flows.delete(flow)
      for (const other of this.flows.values()) other.collection = other.collection.filter((member) => member !== flow)
      if (!later) this.drop(rows)
      return later ? 202 : 204
    })
  }

  /** Rows go, and objects with their last row. */
  drop(gone: readonly ModelRow[]): void {
    this.rows = this.rows.filter((row) => !gone.includes(row))
    const candidates = new Set(gone.map((row) => row.object))
    for (const id of candidates) if (!this.rows.some((row) => row.object === id)) this.objects.delete(id)
  }
}
