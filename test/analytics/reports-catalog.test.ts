import { afterAll, beforeAll, describe, setDefaultTimeout, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { exactInteger, timeText } from '../../analytics/result.ts'
import { retentionOffsetNs, TAI_AHEAD_SECONDS } from '../../src/core/retention.ts'
import { formatTimestamp } from '../../src/core/timestamp.ts'
import { BACKENDS, BASE_US, FORMATS, id } from './model.ts'
import { NOW_US, type OpenAnalytics, openAnalytics, sameNumbers, withoutQuery } from './open.ts'
import { forStores } from './stores.ts'

// Many small stores, on machines that may be busy.
setDefaultTimeout(120_000)

let open: OpenAnalytics
beforeAll(async () => {
  open = await openAnalytics()
})
afterAll(() => open.close())

const total = (values: readonly (bigint | null)[]): bigint => values.reduce<bigint>((sum, value) => sum + (value ?? 0n), 0n)
const tally = (names: readonly (string | null)[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const name of names) if (name !== null) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
const range = (starts: readonly (bigint | null)[], ends: readonly (bigint | null)[]): string | null => {
  const first = starts.filter((ns) => ns !== null).reduce<bigint | null>((least, ns) => (least === null || ns < least ? ns : least), null)
  const last = ends.filter((ns) => ns !== null).reduce<bigint | null>((most, ns) => (most === null || ns > most ? ns : most), null)
  return first === null || last === null ? null : `[${formatTimestamp(first)}_${formatTimestamp(last)})`
}

describe('flow-usage', () => {
  test('counts live flows and the bytes of the objects that they use, each once', () =>
    forStores(open, async ({ flows, objects, uses }) => {
      const used = new Set([...uses.values()].flatMap((ids) => [...ids]))
      const bytes = total(objects.filter((object) => used.has(object.id)).map(({ size }) => size))
      sameNumbers(withoutQuery(await open.get('/flow-usage')), {
        total_flows: flows.length,
        format_distribution: tally(flows.map(({ row }) => row.format)),
        estimated_storage_bytes: exactInteger(bytes),
        average_flow_size: flows.length === 0 ? null : Number(bytes) / flows.length,
      })
    }))

  test('is about the flows that the filters leave', () =>
    forStores(open, async ({ flows }) => {
      const count = async (filter: string): Promise<unknown> => (await open.get(`/flow-usage?${filter}`)).total_flows
      const expected = (holds: (flow: (typeof flows)[number]) => boolean) => flows.filter(holds).length
      sameNumbers(
        await count(`source_id=${id(2, 1)}`),
        expected(({ row }) => row.source_id === id(2, 1)),
      )
      sameNumbers(
        await count(`flow_id=${id(1, 0)}`),
        expected(({ row }) => row.id === id(1, 0)),
      )
      sameNumbers(
        await count(`format=${FORMATS[1]}`),
        expected(({ row }) => row.format === FORMATS[1]),
      )
      sameNumbers(
        await count('tag.site=london,paris'),
        expected(({ tags }) => tags.site?.includes('london') ?? false),
      )
      sameNumbers(
        await count('tag_exists.site=false'),
        expected(({ tags }) => tags.site === undefined),
      )
      const from = BASE_US + 100n * 3_600_000_000n
      sameNumbers(
        await count(`start_time=${timeText(from)}`),
        expected(({ row }) => row.created >= from),
      )
      sameNumbers(
        await count(`end_time=${timeText(from)}`),
        expected(({ row }) => row.created < from),
      )
      sameNumbers(
        await count('timerange=[0:0_3:0)'),
        expected(({ row }) => row.start_ns !== null && row.end_ns !== null && row.start_ns < 3_000_000_000n && row.end_ns > 0n),
      )
    }))

  test('finds flows by the backend that holds one of their objects', () =>
    forStores(open, async ({ flows, uses, rows }) => {
      const stored = new Set(rows.object_instances.filter((row) => row.storage_id === BACKENDS[1]).map((row) => row.object_id))
      const expected = flows.filter(({ row }) => [...(uses.get(row.id) ?? [])].some((object) => stored.has(object)))
      sameNumbers((await open.get(`/flow-usage?storage_backend_id=${BACKENDS[1]}`)).total_flows, expected.length)
    }))
})

/** Ids of the model are no numbers: their keys are their MD5. */
const keyOf = (objectId: string): string => createHash('md5').update(objectId).digest('hex')

test('storage-usage sums real sizes and orders objects by access', () =>
  forStores(open, async ({ objects, rows }) => {
    const sizes = objects.flatMap(({ size }) => (size === null ? [] : [size]))
    const accessed = objects.map(({ id: object_id, size }) => ({
      object_id,
      access_count: Number(
        total(rows.object_access.filter((row) => row.object_id === object_id).map((row) => row.signed_count + row.read_count)),
      ),
      size: size === null ? null : exactInteger(size),
    }))
    const sorted = (sign: number) =>
      [...accessed].sort((a, b) => sign * (a.access_count - b.access_count) || (keyOf(a.object_id) < keyOf(b.object_id) ? -1 : 1))
    const between = (least: number, most: number) => sizes.filter((size) => size >= least && size < most).length
    sameNumbers(withoutQuery(await open.get('/storage-usage?n=3')), {
      total_objects: objects.length,
      total_size_bytes: exactInteger(total(sizes)),
      average_size_bytes: sizes.length === 0 ? null : Number(total(sizes)) / sizes.length,
      unknown_size_objects: objects.length - sizes.length,
      most_accessed: sorted(-1).slice(0, 3),
      least_accessed: sorted(1).slice(0, 3),
      average_access_count:
        objects.length === 0 ? null : accessed.reduce((sum, { access_count }) => sum + access_count, 0) / objects.length,
      size_distribution: {
        small: between(0, 1e6),
        medium: between(1e6, 1e8),
        large: between(1e8, 1e9),
        xlarge: between(1e9, Number.POSITIVE_INFINITY),
      },
    })
  }))

test('catalog-summary counts what is live and what is in the trash', () =>
  forStores(open, async ({ rows, flows, objects, segments }) => {
    const created = [...rows.sources, ...flows.map(({ row }) => row), ...objects].map((row) => row.created)
    const extreme = (pick: (a: bigint, b: bigint) => boolean) =>
      created.length === 0 ? null : timeText(created.reduce((best, us) => (pick(us, best) ? us : best)))
    sameNumbers(withoutQuery(await open.get('/catalog-summary')), {
      counts: {
        sources: rows.sources.length,
        flows: flows.length,
        segments: segments.length,
        objects: objects.length,
        profiles: 0,
        storage_backends: 2,
      },
      by_format: tally(flows.map(({ row }) => row.format)),
      by_codec: tally(flows.map(({ row }) => row.codec)),
      by_container: tally(flows.map(({ row }) => row.container)),
      total_size_bytes: exactInteger(total(objects.map(({ size }) => size))),
      media_timerange: range(
        flows.map(({ row }) => row.start_ns),
        flows.map(({ row }) => row.end_ns),
      ),
      earliest_created: extreme((a, b) => a < b),
      latest_created: extreme((a, b) => a > b),
      deleted: {
        sources: 0,
        flows: rows.flows.length - flows.length,
        objects:
          rows.deletions.length === 0 ? 0 : rows.objects.filter((row) => row.state === 'registered' && !objects.includes(row)).length,
      },
    })
  }))

test('tag-usage counts flows per value, an empty list as null', () =>
  forStores(open, async ({ flows }) => {
    const counts = new Map<string, { name: string; value: string | null; flows: number }>()
    for (const { tags } of flows)
      for (const [name, values] of Object.entries(tags))
        for (const value of values.length === 0 ? [null] : values) {
          const key = JSON.stringify([name, value])
          counts.set(key, { name, value, flows: (counts.get(key)?.flows ?? 0) + 1 })
        }
    const order = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
    const expected = (prefix: string) =>
      [...counts.values()]
        .filter(({ name }) => name.startsWith(prefix))
        .map((row) => ({ ...row, sources: 0, segments: 0, total: row.flows }))
        .map(({ name, value, sources, flows: n, segments, total: all }) => ({ name, value, sources, flows: n, segments, total: all }))
        .sort(order)
    sameNumbers((await open.rows('/tag-usage')).sort(order), expected(''))
    sameNumbers((await open.rows('/tag-usage?q=si')).sort(order), expected('si'))
  }))

test('tag-usage counts tags of the segments that a reader sees', () =>
  forStores(open, async ({ rows, segments: seen }) => {
    const tag = { entity_type: 'segment', deletion_id: '', name: 'take', position: 0, value_prefix: '1', value: '1', empty_list: false }
    const segments = rows.segments.map((row, index) => ({ ...row, tags: '{"take":"1"}', tag_id: `tag ${index}` }))
    await open.fill({ ...rows, segments, tags: segments.map(({ tag_id }) => ({ ...tag, entity_id: tag_id })) })
    const used = { name: 'take', value: '1', sources: 0, flows: 0, segments: seen.length, total: seen.length }
    for (const query of ['', '?entity_type=segment', '?q=ta'])
      sameNumbers(await open.rows(`/tag-usage${query}`), seen.length === 0 ? [] : [used])
    sameNumbers(await open.rows('/tag-usage?entity_type=flow'), [])
  }))

test('cost adds up the objects of each backend at its price', () =>
  forStores(open, async ({ objects, rows }) => {
    const expected = BACKENDS.flatMap((backend, i) => {
      const ids = new Set(rows.object_instances.filter((row) => row.storage_id === backend).map((row) => row.object_id))
      const stored = objects.filter((object) => ids.has(object.id))
      if (stored.length === 0) return []
      const bytes = total(stored.map(({ size }) => size))
      const price = i === 0 ? 0.5 : 0.25
      return [
        {
          storage_backend_id: backend,
          label: i === 0 ? 'primary' : null,
          objects: stored.length,
          bytes: exactInteger(bytes),
          unknown_size_objects: stored.filter(({ size }) => size === null).length,
          price_per_gigabyte: price,
          cost_per_month: (Number(bytes) / 1e9) * price,
        },
      ]
    })
    const actual = await open.rows(`/cost?price=0.5&prices=${BACKENDS[1]}:0.25`)
    sameNumbers(
      actual.toSorted((a, b) => (String(a.storage_backend_id) < String(b.storage_backend_id) ? -1 : 1)),
      expected,
    )
  }))

test('orphans are the registered objects that no live flow uses', () =>
  forStores(open, async ({ objects, uses }) => {
    const used = new Set([...uses.values()].flatMap((ids) => [...ids]))
    const lost = objects.filter((object) => !used.has(object.id))
    const answer = await open.get('/orphans')
    sameNumbers(answer.orphaned_objects, lost.length)
    sameNumbers(answer.orphaned_bytes, exactInteger(total(lost.map(({ size }) => size))))
    const ids = (answer.objects as { object_id: string }[]).map(({ object_id }) => object_id).sort()
    sameNumbers(ids, lost.map((object) => object.id).sort())
  }))

test('reuse counts the segments and flows of each object, hidden segments left out', () =>
  forStores(open, async ({ segments, objects }) => {
    const used = [...new Set(segments.map((row) => row.object_id))].map((object_id) => {
      const mine = segments.filter((row) => row.object_id === object_id)
      const flows = new Set(mine.map((row) => row.flow_id)).size
      const size = objects.find((object) => object.id === object_id)?.size ?? null
      return { object_id, segments: mine.length, flows, size, saved: size === null ? null : size * BigInt(flows - 1) }
    })
    const answer = await open.get('/reuse')
    sameNumbers(answer.used_objects, used.length)
    sameNumbers(answer.reused_objects, used.filter((row) => row.segments > 1).length)
    sameNumbers(answer.objects_in_several_flows, used.filter((row) => row.flows > 1).length)
    sameNumbers(answer.bytes_saved, exactInteger(total(used.map(({ saved }) => saved))))
    const byId = (a: { object_id: string }, b: { object_id: string }) => (a.object_id < b.object_id ? -1 : 1)
    sameNumbers(
      (answer.objects as { object_id: string }[]).toSorted(byId),
      used
        .filter((row) => row.segments > 1)
        .map(({ object_id, segments: n, flows, size, saved }) => ({
          object_id,
          segments: n,
          flows,
          size: size === null ? null : exactInteger(size),
          bytes_saved: saved === null ? null : exactInteger(saved),
        }))
        .toSorted(byId),
    )
  }))

test('retention-outlook tells what is due by the retention tags', () =>
  forStores(open, async ({ flows, segments }) => {
    const seconds = (values: readonly string[] | undefined): number | null => {
      const ns = retentionOffsetNs(values)
      return ns === undefined ? null : Number(ns) / 1e9
    }
    const until = NOW_US + 14n * 86_400_000_000n
    const expected = flows.flatMap(({ row, tags }) => {
      const flowSeconds = seconds(tags.flow_retention_offset)
      const segmentSeconds = seconds(tags.segment_retention_offset)
      if (flowSeconds === null && segmentSeconds === null) return []
      const due = flowSeconds === null ? null : (row.segments_updated ?? row.metadata_updated) + BigInt(flowSeconds * 1e6)
      const mine = segments.filter((segment) => segment.flow_id === row.id)
      return [
        {
          flow_id: row.id,
          flow_retention_seconds: flowSeconds,
          flow_due: due === null ? null : timeText(due),
          segment_retention_seconds: segmentSeconds,
          segments: mine.length,
          segments_due: mine.filter(
            ({ end_ns }) =>
              segmentSeconds !== null && end_ns + BigInt(segmentSeconds * 1e9) <= (until + BigInt(TAI_AHEAD_SECONDS) * 1_000_000n) * 1000n,
          ).length,
          flow_is_due: due !== null && due <= until,
        },
      ]
    })
    const byId = (a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>) =>
      String(a.flow_id) < String(b.flow_id) ? -1 : 1
    sameNumbers((await open.rows('/retention-outlook?days=14')).toSorted(byId), expected.toSorted(byId))
  }))
