import { describe, expect, test } from 'bun:test'
import { and, compare, eq, isIn, type Predicate, related } from '../../../src/core/predicate.ts'
import type { TableName } from '../../../src/storage/schema.ts'
import { Connection, type SqlRow } from '../../../src/storage/sqlite/connection.ts'
import { type ListRequest, listSteps } from '../../../src/storage/sqlite/search.ts'
import { type SqlValue, tableInfo } from '../../../src/storage/sqlite/table-info.ts'
import { temporaryStores } from './support.ts'

const stores = temporaryStores()

/** Asks SQLite for the plan of each statement instead of running it. */
class Explaining extends Connection {
  readonly plans: string[] = []

  override rows(sql: string, params: readonly SqlValue[] = []): SqlRow[] {
    this.plans.push(
      super
        .rows(`explain query plan ${sql}`, params)
        .map(({ detail }) => String(detail))
        .join('; '),
    )
    return []
  }
}

const planOf = async (table: TableName, query: Omit<ListRequest, 'limit'>): Promise<string> => {
  await stores.open()
  const connection = new Explaining({ file: stores.file(), writes: false })
  try {
    for (const _ of listSteps(connection, tableInfo(table), { ...query, limit: 100 }, { now: () => 0, timeoutMs: 1000 })) break
    return connection.plans[0] ?? ''
  } finally {
    connection.close()
  }
}

const live = eq('deletion_id', '')
const timeline = and(eq('flow_id', 'f'), eq('timeline_id', 't'))
const byCreated = [{ column: 'created', direction: 'desc' }] as const
const tag = (where: Predicate): Predicate => related('tags', { entity_id: 'id' }, and(eq('entity_type', 'flow'), where))

describe('SQLite answers by index alone', () => {
  const cases: readonly (readonly [name: string, table: TableName, query: Omit<ListRequest, 'limit'>, plan: string])[] = [
    [
      'a page of segments',
      'segments',
      { where: and(timeline, compare('start_ns', '>=', 1n), compare('start_ns', '<', 9n)) },
      'SEARCH t USING PRIMARY KEY (flow_id=? AND timeline_id=? AND start_ns>? AND start_ns<?)',
    ],
    [
      'the next page of segments',
      'segments',
      { where: and(timeline, compare('start_ns', '<', 9n)), after: ['f', 't', 5n] },
      'SEARCH t USING PRIMARY KEY (flow_id=? AND timeline_id=? AND start_ns>? AND start_ns<?)',
    ],
    [
      'the predecessor of a segment',
      'segments',
      { where: and(timeline, compare('start_ns', '<=', 5n)), orderBy: [{ column: 'start_ns', direction: 'desc' }] },
      'SEARCH t USING PRIMARY KEY (flow_id=? AND timeline_id=? AND start_ns<?)',
    ],
    [
      'flows by creation',
      'flows',
      { where: live, orderBy: byCreated },
      'SEARCH t USING INDEX ix_flows__deletion_id__created__id (deletion_id=?)',
    ],
    [
      'a later page of flows by creation',
      'flows',
      { where: live, orderBy: byCreated, after: [1n, 'f', ''] },
      'SEARCH t USING INDEX ix_flows__deletion_id__created__id (deletion_id=? AND (created,id)<(?,?))',
    ],
    ['objects by id', 'objects', { where: and(isIn('id', ['a', 'b', 'c']), live) }, 'SEARCH t USING PRIMARY KEY (id=? AND deletion_id=?)'],
    [
      'objects whose size is to be found out',
      'objects',
      { where: compare('size_due', '<=', 9n), orderBy: [{ column: 'size_due', direction: 'asc' }] },
      'SEARCH t USING INDEX ix_objects__size_due (size_due<?)',
    ],
    [
      'the tags of listed flows, with a further condition',
      'tags',
      { where: and(eq('entity_type', 'flow'), isIn('entity_id', ['a', 'b']), eq('value', 'x')) },
      'SEARCH t USING PRIMARY KEY (entity_type=? AND entity_id=?)',
    ],
    [
      'tags by value',
      'tags',
      {
        where: and(eq('entity_type', 'flow'), eq('name', 'n'), eq('value_prefix', 'v')),
        orderBy: [{ column: 'entity_id', direction: 'asc' }],
      },
      'SEARCH t USING INDEX ix_tags__entity_type__name__value_prefix__entity_id (entity_type=? AND name=? AND value_prefix=?)',
    ],
  ]
  test.each(cases)('%s', async (_, table, query, plan) => {
    expect(await planOf(table, query)).toBe(plan)
  })

  test('all flows with a tag of a name are walked by that name, without sorting', async () => {
    const where = and(eq('entity_type', 'flow'), eq('name', 'n'), live)
    const orderBy = (['entity_type', 'name', 'value_prefix', 'entity_id'] as const).map((column) => ({ column, direction: 'asc' as const }))
    const plan = await planOf('tags', { where, orderBy, columns: ['entity_id'] })
    expect(plan).toContain('ix_tags__entity_type__name__value_prefix__entity_id (entity_type=? AND name=?)')
    expect(plan).not.toContain('TEMP B-TREE')
    expect(plan).not.toContain('SCAN t')
  })

  test('the flows of a rare tag are found from the tag, and each by its key', async () => {
    const plan = await planOf('flows', { where: and(live, tag(and(eq('name', 'n'), eq('value_prefix', 'v')))), orderBy: byCreated })
    expect(plan).toContain('SEARCH t USING COVERING INDEX ix_tags__entity_type__name__value_prefix__entity_id')
    expect(plan).toContain('SEARCH t USING PRIMARY KEY (id=? AND deletion_id=?)')
    expect(plan).not.toContain('SCAN t')
  })

  test('a filter without an index walks the order in windows, without sorting', async () => {
    const plan = await planOf('flows', { where: and(live, eq('codec', 'x')), orderBy: byCreated })
    expect(plan).toContain('SEARCH t USING COVERING INDEX ix_flows__deletion_id__created__id (deletion_id=?)')
    expect(plan).toContain('SEARCH t USING PRIMARY KEY (id=? AND deletion_id=?)')
    expect(plan).not.toContain('TEMP B-TREE')
  })
})
