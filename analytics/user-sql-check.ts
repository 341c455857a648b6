import { TamsError } from '../src/core/errors.ts'

export interface Examined {
  /** Views that are named. */
  readonly tables: ReadonlySet<string>
  /** Every name that is mentioned as a column, of whichever table. */
  readonly columns: ReadonlySet<string>
  /** Columns are also used without being named. */
  readonly allColumns: boolean
  /** Of a text that names one table once: `column = …` that each of its rows has to fulfil. */
  readonly equalities: readonly Equality[]
}

export interface Equality {
  readonly column: string
  readonly value?: string
  /** Name or number of a parameter. */
  readonly parameter?: string
}

type Node = Readonly<Record<string, unknown>>

// Kinds of nodes without a class: queries, what they select from, and what orders or limits them. Anything else is refused.
const STRUCTURE = new Set([
  'SELECT_NODE',
  'SET_OPERATION_NODE',
  'RECURSIVE_CTE_NODE',
  'CTE_NODE',
  'BASE_TABLE',
  'SUBQUERY',
  'JOIN',
  'EMPTY',
  'EXPRESSION_LIST',
  'TABLE_FUNCTION',
  'ORDER_MODIFIER',
  'LIMIT_MODIFIER',
  'LIMIT_PERCENT_MODIFIER',
  'DISTINCT_MODIFIER',
  'ASCENDING',
  'DESCENDING',
  'ORDER_DEFAULT',
])
const TABLE_FUNCTIONS = new Set(['range', 'generate_series', 'unnest', 'json_each', 'json_tree'])
/** What tells about the process or its other users, changes its state, runs text as SQL, waits, or makes values of any size. */
const REFUSED_FUNCTIONS =
  /^(__.*|pg_.*|has_.*|duckdb_.*|pragma_.*|read_.*|inet_.*|current_(connection_id|query|query_id|transaction_id|setting|schemas?|database|catalog|role|user)|session_user|user|txid_current|currval|nextval|setseed|sleep_ms|write_log|getvariable|getenv|version|stats|vector_type|create_sort_key|in_search_path|query|query_table|json_(de)?serialize_(sql|plan)|json_execute_serialized_sql|parse_duckdb_log_message|get_block_size|col_description|obj_description|shobj_description|glob|error|repeat|[lr]pad|printf|format|bar|regexp_split_to_table|can_cast_implicitly|variant_.*|st_.*|aggregate_state.*|combine|finalize|array_resize|list_resize)$/
// A name of a common table expression hides the view of that name only inside of its query: outside it means the database's own.
const SYSTEM_NAMES = /^(duckdb_|pragma_|sqlite_|pg_|information_schema)/

/**
 * Examines a parsed text: one SELECT, over `views` and its own common table expressions only, with harmless functions. Throws
 * `unprocessable` otherwise.
 */
export const examine = (tree: unknown, views: readonly string[]): Examined => {
  const statements = (tree as { readonly statements?: readonly Node[] }).statements ?? []
  if (statements.length !== 1) throw refused(`one statement is possible, not ${statements.length}`)
  const nodes = [...nodesIn(statements)]
  const own = new Set(nodes.flatMap(cteNames))
  const reserved = [...own].find((name) => SYSTEM_NAMES.test(name.toLowerCase()))
  if (reserved !== undefined) throw refused(`${reserved} is no name for a common table expression here`)
  const tableFunctions = new Set(nodes.flatMap((node) => (node.type === 'TABLE_FUNCTION' ? [node.function] : [])))
  for (const node of nodes) check(node, views, own, tableFunctions.has(node))
  const tables = nodes.filter(({ type }) => type === 'BASE_TABLE')
  const named = nodes.filter((node) => node.class === 'COLUMN_REF').map(({ column_names }) => column_names as readonly string[])
  const relations = new Set([...views, ...own, ...nodes.flatMap(({ alias }) => (typeof alias === 'string' ? [alias] : []))])
  return {
    tables: new Set(tables.map(tableName).filter((name) => views.includes(name))),
    columns: new Set([...named.flat(), ...nodes.flatMap(usingColumns)].map((name) => name.toLowerCase())),
    // A star, a natural join, and the name of a relation in the place of a column (all of it as one value).
    allColumns:
      nodes.some((node) => node.class === 'STAR' || node.ref_type === 'NATURAL') ||
      named.some(([name, second]) => second === undefined && name !== undefined && relations.has(name)),
    equalities: tables.length === 1 && own.size === 0 ? nodes.flatMap(equalitiesOf) : [],
  }
}

const refused = (reason: string): TamsError => new TamsError('unprocessable', `sql: ${reason}`, { field: 'sql' })

function* nodesIn(value: unknown): Generator<Node> {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value)) yield value as Node
  for (const member of Object.values(value)) yield* nodesIn(member)
}

const cteNames = ({ cte_map }: Node): string[] => {
  const entries = (cte_map as { readonly map?: readonly { readonly key: string }[] } | undefined)?.map ?? []
  return entries.map(({ key }) => key)
}

const tableName = ({ table_name }: Node): string => String(table_name).toLowerCase()
const usingColumns = ({ using_columns }: Node): string[] => (Array.isArray(using_columns) ? using_columns.map(String) : [])

const check = (node: Node, views: readonly string[], own: ReadonlySet<string>, asTable: boolean): void => {
  const { type } = node
  if (node.class === undefined && typeof type === 'string' && !STRUCTURE.has(type) && !/_TYPE_INFO$/.test(type))
    throw refused(`${type.toLowerCase().replaceAll('_', ' ')} is not possible`)
  if (type === 'BASE_TABLE') {
    const qualified = [node.catalog_name, node.schema_name].some((name) => name !== '' && name !== undefined)
    const known = views.includes(tableName(node)) || own.has(String(node.table_name))
    if (qualified || !known || node.at_clause) throw refused(`there is no view ${String(node.table_name)}; there are ${views.join(', ')}`)
  }
  if (type === 'TABLE_FUNCTION') {
    const name = String((node.function as Node | undefined)?.function_name).toLowerCase()
    if (!TABLE_FUNCTIONS.has(name)) throw refused(`the table function ${name} is not possible`)
  }
  if (typeof node.function_name === 'string') {
    const name = node.function_name.toLowerCase()
    // As a value the database makes the whole list while it plans, where nothing can interrupt it.
    if (REFUSED_FUNCTIONS.test(name) || (!asTable && /^(range|generate_series)$/.test(name)))
      throw refused(`the function ${name} is not possible here`)
  }
}

/** Conditions of a select directly on a table, which are joined by `and`. */
const equalitiesOf = (node: Node): Equality[] => {
  if (node.type !== 'SELECT_NODE') return []
  const table = node.from_table as Node | undefined
  if (table?.type !== 'BASE_TABLE' || table.sample || node.sample) return []
  const names = new Set([tableName(table), String(table.alias).toLowerCase()])
  const renamed = Array.isArray(table.column_name_alias) && table.column_name_alias.length > 0
  return renamed ? [] : conjuncts(node.where_clause as Node | null).flatMap((term) => equality(term, names))
}

const conjuncts = (node: Node | null): Node[] => {
  if (node?.type !== 'CONJUNCTION_AND') return node ? [node] : []
  return (node.children as readonly Node[]).flatMap(conjuncts)
}

const equality = ({ type, left, right }: Node, tables: ReadonlySet<string>): Equality[] => {
  if (type !== 'COMPARE_EQUAL') return []
  const sides = [left as Node, right as Node]
  const reference = sides.find((side) => side.class === 'COLUMN_REF')
  const other = sides.find((side) => side !== reference)
  const path = (reference?.column_names as readonly string[] | undefined)?.map((name) => name.toLowerCase())
  const column = path?.length === 1 ? path[0] : path?.length === 2 && tables.has(path[0] ?? '') ? path[1] : undefined
  if (column === undefined || !other) return []
  if (other.class === 'PARAMETER') return [{ column, parameter: String(other.identifier) }]
  const constant =
    other.class === 'CONSTANT' ? (other.value as { readonly is_null: boolean; readonly value: unknown; readonly type: Node }) : undefined
  return constant?.type.id === 'VARCHAR' && !constant.is_null ? [{ column, value: String(constant.value) }] : []
}
