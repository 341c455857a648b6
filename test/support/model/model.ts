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
  /** Of a hidden one: the deletion whose trash it is on its way to. */
  to?: ModelDeletion | undefined
  /** In the trash of a deletion of segments. */
  readonly trash?: ModelDeletion
  /** Will be deleted by a request for its object, for good or with a deletion. */
  condemned?: { readonly to: ModelDeletion | undefined }
}

export interface ModelMembership {
  readonly parent: number
  readonly child: number
  readonly position: number
}

/** A membership takes its old place among those that are kept already; who stands there makes room. */
const joined = (kept: readonly ModelMembership[], added: ModelMembership): readonly ModelMembership[] => {
  const others = kept.filter((item) => item.parent === added.parent)
  if (others.some((item) => item.child === added.child)) return kept
  if (!others.some((item) => item.position === added.position)) return [...kept, added]
  const moves = (item: ModelMembership) => item.parent === added.parent && item.position >= added.position
  return [...kept.map((item) => (moves(item) ? { ...item, position: item.position + 1 } : item)), added]
}

/** What a soft deletion took. Rows in its trash name it; flows keep their timelines. */
export interface ModelDeletion {
  readonly flows: Map<number, ModelFlow>
  /** The source that went with them, as long as it is in this trash. */
  source: number | undefined
  memberships: readonly ModelMembership[]
  /** Of a deletion of segments. */
  readonly range?: { readonly flow: number; readonly timeline: number }
  /** Requests that carry rows to it, or tell of them, are open. */
  open: boolean
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
  /** By age. */
  deletions: ModelDeletion[] = []
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
    return this.rows.filter((row) => row.flow === flow && row.timeline === timeline && row.trash === undefined)
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
      this.clearAway(this.rowsOf(flow).filter((row) => row.hidden && segments.some((segment) => overlap(row, segment))))
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
      const buried = this.referencing(segment.object).length === 0
      if ((urls && !buried) || used.start < object.start || used.end > object.end) return false
      if (urls) this.objects.set(segment.object, { ...object, urls })
    } else {
      if (object ? object.allocatedFor !== flow : !urls) return false
      this.objects.set(segment.object, { ...used, urls })
    }
    this.rows = [...this.rows, { flow, timeline, ...segment, hidden: false }]
    return true
  }

  deleteSegments(flow: number, filter: Deletion, soft = false): number {
    return this.change(flow, ({ timeline }) => {
      const { start = Number.NEGATIVE_INFINITY, end = Number.POSITIVE_INFINITY, object } = filter
      const covered = this.rowsOf(flow).filter((row) => start <= row.start && row.end <= end)
      const visible = covered.filter((row) => !row.hidden)
      if (visible.length === 0) return 204
      const wanted = (row: ModelRow) => object === undefined || row.object === object
      const later = covered.filter(wanted).length > this.asyncThreshold
      const rows = visible.filter(wanted)
      if (!later && rows.length === 0) return 204
      const to = soft ? this.deletion({ range: { flow, timeline }, open: later }) : undefined
      if (to) this.askedFor.set(to, { start, end })
      if (!later) this.carry(rows, to)
      for (const row of later ? rows : [])
        if (object === undefined) {
          row.hidden = true
          row.to = to
        } else row.condemned ??= { to }
      return later ? 202 : 204
    })
  }

  private deletion(of: Partial<ModelDeletion>): ModelDeletion {
    const made: ModelDeletion = { flows: new Map(), source: undefined, memberships: [], open: false, ...of }
    this.deletions.push(made)
    return made
  }

  deleteFlow(flow: number, soft = false): number {
    return this.change(flow, () => this.removeFlows([flow], soft))
  }

  /** The source with its flows: it goes with its last one anyhow. */
  deleteSource(source: number, soft: boolean): number {
    const flows = this.flowsOf(source)
    if (flows.length === 0) return 404
    return flows.some((flow) => this.flows.get(flow)?.readOnly) ? 403 : this.removeFlows(flows, soft)
  }

  private removeFlows(flows: readonly number[], soft: boolean): number {
    if (!soft) for (const flow of flows) this.clearAway(this.rowsOf(flow).filter((row) => row.hidden && row.to !== undefined))
    const rows = flows.flatMap((flow) => this.rowsOf(flow))
    const later = rows.length > this.asyncThreshold
    const deletion = soft ? this.deletion({ open: later }) : undefined
    for (const [parent, { collection }] of this.flows) {
      const inside = flows.includes(parent)
      for (const [position, child] of collection.entries())
        if (deletion && (inside || flows.includes(child))) deletion.memberships = [...deletion.memberships, { parent, child, position }]
    }
    for (const flow of flows) {
      const known = this.flows.get(flow)
      if (known) deletion?.flows.set(flow, known)
      this.flows.delete(flow)
    }
    for (const other of this.flows.values()) other.collection = other.collection.filter((member) => !flows.includes(member))
    const [source] = flows.map(sourceOf)
    if (deletion && source !== undefined && this.flowsOf(source).length === 0) deletion.source = source
    if (!soft) for (const row of rows) row.hidden = true
    if (!soft && !later) this.drop(rows)
    return later ? 202 : 204
  }

  restoreFlow(flow: number): number {
    const deletion = this.deletions.findLast((item) => item.flows.has(flow))
    if (!deletion) return this.flows.has(flow) ? 409 : 404
    return this.atomic(() => (deletion.open || !this.flowBack(deletion, flow) ? 409 : this.told([flow])))
  }

  restoreSource(source: number): number {
    const deletion = this.deletions.findLast((item) => item.source === source)
    if (!deletion) return this.flowsOf(source).length > 0 ? 409 : 404
    if (deletion.open || this.flowsOf(source).length > 0) return 409
    return this.atomic(() => {
      const flows = [...deletion.flows.keys()]
      return flows.every((flow) => this.flowBack(deletion, flow)) ? this.told(flows) : 409
    })
  }

  // More segments than are told of at once are told of later.
  private told(flows: readonly number[]): number {
    return flows.flatMap((flow) => this.rowsOf(flow)).length > this.asyncThreshold ? 202 : 200
  }

  private atomic(work: () => number): number {
    const flows = new Map([...this.flows].map(([id, flow]) => [id, { ...flow }]))
    const saved = this.deletions.map((item) => ({ item, flows: new Map(item.flows), source: item.source, memberships: item.memberships }))
    const status = work()
    if (status < 400) return status
    this.flows.clear()
    for (const [id, flow] of flows) this.flows.set(id, flow)
    for (const { item, ...rest } of saved) {
      item.flows.clear()
      for (const [id, flow] of rest.flows) item.flows.set(id, flow)
      item.source = rest.source
      item.memberships = rest.memberships
    }
    return status
  }

  private flowBack(deletion: ModelDeletion, flow: number): boolean {
    const known = deletion.flows.get(flow)
    if (!known || this.flows.has(flow)) return false
    if (this.flowsOf(sourceOf(flow)).length === 0) {
      const from = deletion.source === undefined ? this.deletions.findLast((item) => item.source === sourceOf(flow)) : deletion
      if (from) from.source = undefined
    }
    const own = deletion.memberships.filter((item) => item.parent === flow).sort((a, b) => a.position - b.position)
    deletion.flows.delete(flow)
    this.flows.set(flow, { ...known, collection: own.map((item) => item.child).filter((child) => this.flows.has(child)) })
    for (const { parent, position } of deletion.memberships.filter((item) => item.child === flow)) {
      const collector = this.flows.get(parent)
      if (!collector || collector.collection.includes(flow)) continue
      if (this.reaches(flow, parent)) return false
      const away = deletion.memberships.filter((item) => item.parent === parent && item.position < position)
      collector.collection = collector.collection.toSpliced(position - away.length, 0, flow)
    }
    // A membership waits for its other side, in the deletion that side lies in.
    for (const membership of deletion.memberships.filter(({ parent, child }) => parent === flow || child === flow)) {
      deletion.memberships = deletion.memberships.filter((item) => item !== membership)
      const other = membership.parent === flow ? membership.child : membership.parent
      if (this.flows.has(other)) continue
      const holder = deletion.flows.has(other) ? deletion : this.deletions.findLast((item) => item.flows.has(other))
      if (holder) holder.memberships = joined(holder.memberships, membership)
    }
    return true
  }

  restoreSegments(flow: number, { start = Number.NEGATIVE_INFINITY, end = Number.POSITIVE_INFINITY }: Deletion): number {
    const known = this.flows.get(flow)
    if (!known) return this.deletions.some((item) => item.flows.has(flow)) ? 409 : 404
    const ofFlow = this.deletions.filter((item) => item.range?.flow === flow)
    const inTrash = (item: ModelDeletion) => this.rows.filter((row) => row.trash === item && start <= row.start && row.end <= end)
    if (ofFlow.some((item) => item.open && overlap({ start, end }, this.askedFor.get(item) ?? { start, end }))) return 409
    const wanted = ofFlow.toReversed().filter((item) => inTrash(item).length > 0)
    if (wanted.length === 0) return 404
    const before = this.rows
    for (const item of wanted) {
      const rows = inTrash(item)
      const status = item.open || item.range?.timeline !== known.timeline ? 409 : known.readOnly ? 403 : this.isFree(flow, rows) ? 200 : 409
      if (status !== 200) {
        this.rows = before
        return status
      }
      this.clearAway(this.rowsOf(flow).filter((row) => row.hidden && rows.some((back) => overlap(row, back))))
      this.rows = this.rows.map((row) => {
        const { trash, condemned: _condemned, ...rest } = row
        return trash && rows.includes(row) ? { ...rest, hidden: false, to: undefined } : row
      })
    }
    return 200
  }

  private isFree(flow: number, rows: readonly ModelRow[]): boolean {
    return !this.segments(flow).some((row) => rows.some((back) => overlap(row, back)))
  }

  /** What deletions of segments were asked to take. */
  readonly askedFor = new Map<ModelDeletion, { readonly start: number; readonly end: number }>()

  /** Everything that is left to be done is done. */
  workOff(): void {
    const live = (row: ModelRow) => this.flows.get(row.flow)?.timeline === row.timeline && row.trash === undefined
    for (const row of this.rows)
      if (row.condemned && !row.hidden && live(row)) {
        row.hidden = true
        row.to = row.condemned.to
      }
    this.clearAway(this.rows.filter((row) => row.hidden && row.trash === undefined))
    for (const row of this.rows) delete row.condemned
    for (const deletion of this.deletions) deletion.open = false
  }

  /** The trash is emptied. */
  purge(): void {
    this.workOff()
    const timelines = new Set(this.deletions.flatMap((item) => [...item.flows.values()].map((flow) => flow.timeline)))
    this.drop(this.rows.filter((row) => row.trash !== undefined || timelines.has(row.timeline)))
    this.deletions = []
  }

  /** Hidden rows are worked off: for good, or to the trash they are on their way to. */
  private clearAway(rows: readonly ModelRow[]): void {
    const to = Map.groupBy(rows, (row) => row.to)
    for (const [deletion, gone] of to) this.carry(gone, deletion)
  }

  private carry(rows: readonly ModelRow[], to: ModelDeletion | undefined): void {
    if (!to) this.drop(rows)
    else this.rows = this.rows.map((row) => (rows.includes(row) ? { ...row, trash: to, hidden: false, to: undefined } : row))
  }

  /** Rows go, and objects with their last row. */
  drop(gone: readonly ModelRow[]): void {
    this.rows = this.rows.filter((row) => !gone.includes(row))
    const candidates = new Set(gone.map((row) => row.object))
    for (const id of candidates) if (!this.rows.some((row) => row.object === id)) this.objects.delete(id)
  }
}
