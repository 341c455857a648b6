import type { ReadTx } from '../src/storage/tables.ts'
import { type DatasetRequest, DELETED_ROWS, datasetOf, tablesRead } from './datasets.ts'
import { NUMBERED_BY } from './flow-index.ts'

// What tells loaded tables apart, and how long they hold.

export const isLinked = ({ dataset }: DatasetRequest): boolean => datasetOf(dataset).link?.startsWith('of flows') ?? false

const LINKS = ['flow_id', 'timeline_id'] as const

/** `hiding`: some of the rows may be hidden. */
export const linkColumns = (link: string | undefined, hiding: boolean): readonly string[] => {
  if (link === undefined) return []
  if (link === 'numbers flows') return NUMBERED_BY
  return hiding ? [...LINKS, 'start_ns'] : LINKS
}

/**
 * With the flows in front of what belongs to them. One query can have only one numbering, so where it asks for flows itself, the
 * linked datasets belong to those.
 */
export const withFlows = (requests: readonly DatasetRequest[]): readonly DatasetRequest[] => {
  const linked = requests.find(isLinked)
  const own = requests.find(({ dataset }) => dataset === 'flows')
  const flows: DatasetRequest | undefined =
    own ?? (linked && { dataset: 'flows', columns: [], where: linked.flows, flows: { kind: 'and', terms: [] } })
  const rest = requests
    .filter(({ dataset }) => dataset !== 'flows')
    .map((request) => (datasetOf(request.dataset).link && flows ? { ...request, flows: flows.where } : request))
  return flows ? [flows, ...rest] : rest
}

export const keyOf = ({ dataset, columns, where, flows }: DatasetRequest): string => textOf([dataset, [...columns].sort(), where, flows])

export const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, member: unknown) => (typeof member === 'bigint' ? `${member}n` : member))

export const hasDeletedRows = async (tx: ReadTx): Promise<boolean> => {
  for (const { table, where } of DELETED_ROWS) if ((await tx.count(table, where, { atMost: 1 })) > 0) return true
  return false
}

export const versionsOf = async (
  tx: ReadTx,
  requests: readonly DatasetRequest[],
  besideTrash: boolean,
): Promise<Record<string, string>> => {
  const tables = new Set(requests.flatMap((request) => [...tablesRead(request, besideTrash)]))
  const versions: Record<string, string> = {}
  for (const table of tables) versions[table] = await tx.version(table)
  return versions
}

/** Names of tables whose versions differ. */
export const differing = (before: Readonly<Record<string, string>>, now: Readonly<Record<string, string>>): string[] =>
  [...new Set([...Object.keys(before), ...Object.keys(now)])].filter((name) => before[name] !== now[name])
