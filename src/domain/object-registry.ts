import { invalid } from '../core/errors.ts'
import { isIn } from '../core/predicate.ts'
import { TimeRange } from '../core/time-range.ts'
import { MAX_NS, MIN_NS } from '../core/timestamp.ts'
import { quote } from '../core/uuid.ts'
import type { WriteTx } from '../storage/tables.ts'
import type { FlowRow } from './flow.ts'
import { isControlled, type ObjectInstance, type ObjectRow, parseInstances } from './media-object.ts'
import type { NewSegment } from './segment-schema.ts'

interface RegistryOptions {
  readonly nowUs: bigint
  readonly backendLabels: ReadonlySet<string>
  /** Allocated objects whose bytes are not there although they must be. */
  readonly missing: ReadonlySet<string>
  /** Registered objects that only the trash refers to: for clients they are not there. */
  readonly buried: ReadonlySet<string>
}

/**
 * The objects that the segments of one request use: the rules of first registration and re-use (tams-behaviour.md 6.2), kept in
 * memory until `save`. A rule that is broken throws `invalid` and changes nothing.
 */
export class ObjectRegistry {
  /** How often each object is used by the segments taken in. */
  readonly references = new Map<string, bigint>()
  /** Deletions of objects that a segment uses again. */
  private readonly restored: string[] = []
  private readonly registered = new Set<string>()
  private readonly changed = new Map<string, 'insert' | 'update'>()

  constructor(
    private readonly flow: FlowRow,
    private readonly rows: Map<string, ObjectRow>,
    private readonly options: RegistryOptions,
  ) {}

  /** Registers the object of the segment where it is new, checks it where it is not, and counts the reference. */
  use(segment: NewSegment): void {
    const id = segment.post.object_id
    const row = this.rows.get(id)
    if (row?.state === 'registered') {
      this.checkReuse(row, segment)
      if (row.trash_id !== null || (this.options.buried.has(id) && !this.references.has(id))) {
        this.takeOut(row, segment)
        return
      }
      if (segment.post.get_urls) throw invalid('get_urls', `object ${quote(id)} is known here; its instances are managed under /objects`)
      // Registered without a segment: this is the first.
      if (row.first_referenced_by_flow === null) this.set({ ...row, first_referenced_by_flow: this.flow.id }, 'update')
      this.count(row)
      return
    }
    const registered = this.firstRegistration(row, segment)
    const init = this.initObject(segment)
    this.checkInitSegments(registered.init_object_id)
    this.set(registered, row ? 'update' : 'insert')
    if (init) this.set(init, 'update')
    for (const { id } of [registered, ...(init ? [init] : [])]) this.registered.add(id)
    this.count(registered)
  }

  /** Out of the trash, where an object lies by itself or with all that refers to it; URLs it comes with now go before those it had. */
  private takeOut(row: ObjectRow, { post }: NewSegment): void {
    if (row.trash_id !== null) this.restored.push(row.trash_id)
    const urls = (post.get_urls ?? []).map(({ url, label }) => ({ url, label }))
    this.checkLabels(urls)
    const kept = parseInstances(row).filter((instance) => isControlled(instance) || !urls.some(({ label }) => label === instance.label))
    const known = this.changed.has(row.id) ? row.first_referenced_by_flow : this.flow.id
    const taken: ObjectRow = { ...row, trash_id: null, first_referenced_by_flow: known, instances: JSON.stringify([...kept, ...urls]) }
    this.set(taken, 'update')
    this.count(taken)
  }

  private checkLabels(urls: readonly { readonly label: string }[]): void {
    for (const { label } of urls)
      if (this.options.backendLabels.has(label)) throw invalid('get_urls', `the label ${quote(label)} belongs to a storage backend`)
  }

  /** For an identical segment that is posted again: other object properties in it are refused. */
  checkSame(segment: NewSegment): void {
    const row = this.rows.get(segment.post.object_id)
    if (!row) return
    this.checkReuse(row, segment)
    const urls = segment.post.get_urls
    if (!urls) return
    const known = parseInstances(row).filter((instance) => !isControlled(instance))
    const same = urls.every((item) => known.some((other) => 'url' in other && other.url === item.url && other.label === item.label))
    if (!same) throw invalid('get_urls', `object ${quote(row.id)} is known here; its instances are managed under /objects`)
  }

  /** Those that are registered for the first time. */
  get created(): ObjectRow[] {
    return [...this.registered].flatMap((id) => this.rows.get(id) ?? [])
  }

  /** The row as it is after this request. */
  now(row: ObjectRow): ObjectRow {
    return this.rows.get(row.id) ?? row
  }

  async save(tx: WriteTx): Promise<void> {
    const rows = (wanted: 'insert' | 'update') =>
      [...this.changed].flatMap(([id, kind]) => (kind === wanted ? (this.rows.get(id) ?? []) : []))
    await tx.insert('objects', rows('insert'))
    await tx.put('objects', rows('update'))
    if (this.restored.length > 0)
      await tx.update('deletions', isIn('id', this.restored), { status: 'restored', restored: this.options.nowUs })
  }

  // Its bytes may be swept at any moment: whether the sweep was there yet must not matter.
  private hasLapsed(row: ObjectRow): boolean {
    return row.expires !== null && row.expires <= this.options.nowUs
  }

  private set(row: ObjectRow, kind: 'insert' | 'update'): void {
    this.rows.set(row.id, row)
    if (this.changed.get(row.id) !== 'insert') this.changed.set(row.id, kind)
  }

  private count(row: ObjectRow): void {
    this.references.set(row.id, (this.references.get(row.id) ?? 0n) + 1n)
    if (row.init_object_id !== null) this.references.set(row.init_object_id, (this.references.get(row.init_object_id) ?? 0n) + 1n)
  }

  private firstRegistration(row: ObjectRow | undefined, { post, range, offsetNs, objectRange }: NewSegment): ObjectRow {
    const urls = post.get_urls ?? []
    if ((!row && urls.length === 0) || (row && this.hasLapsed(row)))
      throw invalid(
        'object_id',
        `${quote(post.object_id)} was not allocated here (or its allocation has lapsed), and no get_urls say where it is`,
      )
    this.checkLabels(urls)
    if (row && row.allocated_for !== this.flow.id)
      throw invalid('object_id', `${quote(post.object_id)} was allocated for flow ${row.allocated_for}: its first segment must be there`)
    if (this.options.missing.has(post.object_id)) throw invalid('object_id', `the bytes of ${quote(post.object_id)} are not uploaded yet`)
    const used = shift(range, -offsetNs)
    const whole = objectRange ?? used
    checkFits(used, whole)
    const instances: ObjectInstance[] = [...(row ? parseInstances(row) : []), ...urls.map(({ url, label }) => ({ url, label }))]
    return {
      id: post.object_id,
      deletion_id: '',
      trash_id: null,
      state: 'registered',
      kind: 'media',
      allocated_for: row?.allocated_for ?? null,
      first_referenced_by_flow: this.flow.id,
      start_ns: whole.startNs ?? null,
      end_ns: whole.endNs ?? null,
      timerange: whole.canonical(),
      key_frame_count: post.key_frame_count === undefined ? null : BigInt(post.key_frame_count),
      init_object_id: post.init_object_id ?? null,
      instances: JSON.stringify(instances),
      content_type: row?.content_type ?? this.flow.container,
      size: row?.size ?? null,
      created: row?.created ?? this.options.nowUs,
      registered: this.options.nowUs,
      explicit: false,
      expires: null,
      size_due: row ? this.options.nowUs : null,
    }
  }

  /** The init object of a first registration: known as one, or allocated for this flow and registered by this. */
  private initObject({ post }: NewSegment): ObjectRow | undefined {
    const id = post.init_object_id
    if (id === undefined) return undefined
    if (id === post.object_id) throw invalid('init_object_id', 'is the media object itself')
    const row = this.rows.get(id)
    if (!row) throw invalid('init_object_id', `${quote(id)} is not known here`)
    if (row.kind === 'media') throw invalid('init_object_id', `${quote(id)} is registered as a media object`)
    if (row.state === 'registered') return undefined
    if (this.hasLapsed(row)) throw invalid('init_object_id', `the allocation of ${quote(id)} has lapsed`)
    if (row.allocated_for !== this.flow.id) throw invalid('init_object_id', `${quote(id)} was allocated for flow ${row.allocated_for}`)
    if (this.options.missing.has(id)) throw invalid('init_object_id', `the bytes of ${quote(id)} are not uploaded yet`)
    const { nowUs } = this.options
    return {
      ...row,
      state: 'registered',
      kind: 'init',
      first_referenced_by_flow: this.flow.id,
      registered: nowUs,
      expires: null,
      size_due: nowUs,
    }
  }

  /** Re-use may not change what is known of the object. */
  private checkReuse(row: ObjectRow, { post, range, offsetNs, objectRange }: NewSegment): void {
    if (row.kind === 'init') throw invalid('object_id', `${quote(row.id)} is registered as an init object`)
    const known = TimeRange.parse(row.timerange ?? '()')
    if (objectRange && !objectRange.equals(known))
      throw invalid(
        'object_timerange',
        `${quote(post.object_timerange)} is not the time range of object ${quote(row.id)}, ${known.canonical()}`,
      )
    if (post.key_frame_count !== undefined && BigInt(post.key_frame_count) !== row.key_frame_count)
      throw invalid('key_frame_count', `${post.key_frame_count} is not that of object ${quote(row.id)}, ${row.key_frame_count ?? 'unset'}`)
    if (post.init_object_id !== undefined && post.init_object_id !== row.init_object_id)
      throw invalid('init_object_id', `${quote(post.init_object_id)} is not that of object ${quote(row.id)}, ${quote(row.init_object_id)}`)
    this.checkInitSegments(row.init_object_id)
    checkFits(shift(range, -offsetNs), known)
  }

  private checkInitSegments(initObjectId: string | null): void {
    const wanted = this.flow.init_segments === true
    if (wanted && initObjectId === null)
      throw invalid('init_object_id', `is required: the objects of flow ${this.flow.id} have init segments`)
    if (!wanted && initObjectId !== null)
      throw invalid('init_object_id', `flow ${this.flow.id} does not state essence_parameters.init_segments, so its objects have none`)
  }
}

const shift = (range: TimeRange, byNs: bigint): TimeRange => {
  const moved = range.shift(byNs)
  if ((moved.startNs ?? 0n) < MIN_NS || (moved.endNs ?? 0n) > MAX_NS)
    throw invalid('ts_offset', 'moves the segment outside the 64-bit nanosecond range (±292 years)')
  return moved
}

const checkFits = (used: TimeRange, whole: TimeRange): void => {
  if (!whole.covers(used))
    throw invalid('timerange', `less ts_offset is ${used.canonical()}, which is not within the object's time range ${whole.canonical()}`)
}
