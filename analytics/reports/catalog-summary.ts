import { Type } from '@sinclair/typebox'
import { request } from '../datasets.ts'
import { createdWithin } from '../filters.ts'
import { report } from '../report.ts'
import { Nullable, Tally, Text, Time, timerangeSql, Whole } from './shared.ts'

export const catalogSummary = report({
  name: 'catalog-summary',
  summary:
    'What is in the store: numbers of each kind, formats, codecs and containers, bytes, the extent of the media, and what is in the trash.',
  filters: ['start_time', 'end_time'],
  parameters: Type.Object({}),
  shape: 'object',
  result: Type.Object({
    counts: Type.Object({ sources: Whole, flows: Whole, segments: Whole, objects: Whole, profiles: Whole, storage_backends: Whole }),
    by_format: Tally,
    by_codec: Tally,
    by_container: Tally,
    total_size_bytes: Whole,
    media_timerange: Nullable(Text),
    earliest_created: Nullable(Time),
    latest_created: Nullable(Time),
    deleted: Type.Object({ sources: Whole, flows: Whole, objects: Whole }),
  }),
  plan: (_, filters) => {
    const created = createdWithin(filters)
    return {
      datasets: [
        request('sources', ['created'], created),
        request('flows', ['format', 'codec', 'container', 'segment_count', 'start_ns', 'end_ns', 'created'], created),
        request('objects', ['size', 'created'], created),
        request('profiles', ['created'], created),
        request('storage_backends', ['default_storage']),
        request('deleted_sources', ['created'], created),
        request('deleted_flows', ['created'], created),
        request('deleted_objects', ['created'], created),
      ],
      sql: `
        with times as (
          select min(created) as earliest, max(created) as latest
          from (select created from sources union all select created from flows union all select created from objects)
        )
        select
          {
            'sources': (select count(*) from sources),
            'flows': (select count(*) from flows),
            'segments': (select coalesce(sum(segment_count), 0) from flows),
            'objects': (select count(*) from objects),
            'profiles': (select count(*) from profiles),
            'storage_backends': (select count(*) from storage_backends)
          } as counts,
          ${tally('format')} as by_format,
          ${tally('codec')} as by_codec,
          ${tally('container')} as by_container,
          (select coalesce(sum(size), 0) from objects) as total_size_bytes,
          (select ${timerangeSql('min(start_ns)', 'max(end_ns)')} from flows) as media_timerange,
          earliest as earliest_created,
          latest as latest_created,
          {
            'sources': (select count(*) from deleted_sources),
            'flows': (select count(*) from deleted_flows),
            'objects': (select count(*) from deleted_objects)
          } as deleted
        from times`,
    }
  },
})

// Flows that have no codec or container are in no entry.
const tally = (column: 'format' | 'codec' | 'container'): string =>
  `coalesce((select map_from_entries(list((name, flows) order by name)) from (
            select ${column} as name, count(*) as flows from flows where ${column} is not null group by ${column}
          )), map {}::map(varchar, bigint))`
