import { TamsError } from '../src/core/errors.ts'
import { and, eq, everything, type Predicate } from '../src/core/predicate.ts'
import { columnsOf, type DatasetRequest } from './datasets.ts'
import type { Parameter } from './engine.ts'
import { quoteName } from './quote-name.ts'
import { type Examined, examine } from './user-sql-check.ts'

export interface UserSql {
  readonly sql: string
  readonly parameters?: readonly Parameter[] | Readonly<Record<string, Parameter>>
  readonly limit?: number
  readonly timeoutMs?: number
}

/** The columns that each view shows; what is about the inside of the store is in none. */
export const VIEWS = {
  sources: ['id', 'format', 'label', 'description', 'tags', 'created', 'created_by', 'updated', 'updated_by'],
  flows: [
    'id',
    'source_id',
    'format',
    'codec',
    'container',
    'label',
    'description',
    'status',
    'profile_id',
    'read_only',
    'generation',
    'max_bit_rate',
    'avg_bit_rate',
    'frame_width',
    'frame_height',
    'tags',
    'essence_parameters',
    'created',
    'created_by',
    'metadata_updated',
    'updated_by',
    'segments_updated',
    'start_ns',
    'end_ns',
    'timerange',
    'segment_count',
  ],
  segments: [
    'flow_id',
    'start_ns',
    'end_ns',
    'timerange',
    'object_id',
    'ts_offset',
    'last_duration',
    'sample_offset',
    'sample_count',
    'tags',
    'created',
  ],
  objects: [
    'id',
    'kind',
    'first_referenced_by_flow',
    'start_ns',
    'end_ns',
    'timerange',
    'key_frame_count',
    'init_object_id',
    'content_type',
    'size',
    'created',
    'registered',
    'explicit',
  ],
  tags: ['entity_type', 'entity_id', 'name', 'position', 'value', 'empty_list'],
} as const satisfies Record<string, readonly string[]>

export type ViewName = keyof typeof VIEWS
const viewNames = Object.keys(VIEWS) as ViewName[]

export interface UserPlan {
  readonly datasets: readonly DatasetRequest[]
  readonly parameters: readonly Parameter[] | Readonly<Record<string, Parameter>>
  /** The views that the text sees, over those that were loaded. */
  readonly views: (loaded: Readonly<Record<string, string>>) => Readonly<Record<string, string>>
}

/** What gives the parsed text as JSON. */
interface Parser {
  parse(sql: string): Promise<unknown>
}

/**
 * What a user's text needs: the tables it names, of these the columns it mentions (all where that cannot be told), and of a single
 * table only the rows with the ids it is restricted to. Throws `unprocessable` for anything but one SELECT over the views.
 */
export const planUserSql = async (engine: Parser, user: UserSql): Promise<UserPlan> => {
  const examined = examine(await parsed(engine, user.sql), viewNames)
  const used = viewNames.filter((view) => examined.tables.has(view))
  const columns = new Map(
    used.map((view) => [view, examined.allColumns ? VIEWS[view] : VIEWS[view].filter((name) => examined.columns.has(name))]),
  )
  return {
    datasets: used.map((view) => ({
      dataset: view,
      columns: [...(columns.get(view) ?? [])],
      where: restriction(view, examined, user),
      flows: everything,
    })),
    parameters: bindable(user.parameters ?? []),
    views: (loaded) =>
      Object.fromEntries(
        used.map((view) => {
          const names = (columns.get(view) ?? []).map(quoteName).join(', ') || '1 as present'
          return [view, `select ${names} from (${loaded[view]})`]
        }),
      ),
  }
}

const parsed = async (engine: Parser, sql: string): Promise<unknown> => {
  const tree = (await engine.parse(sql)) as { readonly error: boolean; readonly error_message?: string }
  if (tree.error) throw refusal(tree.error_message ?? 'the text is not understood')
  return tree
}

const refusal = (reason: string): TamsError =>
  new TamsError('unprocessable', `sql: ${reason.split('\n', 1).join().slice(0, 500)}`, { field: 'sql' })

const restriction = (view: ViewName, { equalities }: Examined, user: UserSql): Predicate => {
  const text = new Set(columnsOf(view).flatMap(({ name, kind }) => (kind === 'text' || kind === 'object' ? [name] : [])))
  const shown: readonly string[] = VIEWS[view]
  return and(
    ...equalities.flatMap(({ column, value, parameter }) => {
      const wanted = value ?? (parameter === undefined ? undefined : parameterText(user, parameter))
      return wanted?.isWellFormed() && text.has(column) && shown.includes(column) ? [eq(column, wanted)] : []
    }),
  )
}

const parameterText = ({ parameters }: UserSql, name: string): string | undefined => {
  const value = Array.isArray(parameters)
    ? (parameters as readonly Parameter[])[Number(name) - 1]
    : (parameters as Readonly<Record<string, Parameter>> | undefined)?.[name]
  return typeof value === 'string' ? value : undefined
}

// Whole numbers are bound as such: a double would lose digits of nanoseconds in what is computed from it.
const bindable = (parameters: NonNullable<UserSql['parameters']>): UserPlan['parameters'] => {
  const exact = (value: Parameter): Parameter => (typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value)
  if (Array.isArray(parameters)) return (parameters as readonly Parameter[]).map(exact)
  return Object.fromEntries(Object.entries(parameters as Record<string, Parameter>).map(([name, value]) => [name, exact(value)]))
}
