import { Type } from '@sinclair/typebox'
import { request, usedBy } from '../datasets.ts'
import { flowRows, isEverything } from '../filters.ts'
import { report } from '../report.ts'
import { ALL_FILTERS, Nullable, Real, Tally, Whole } from './shared.ts'

export const flowUsage = report({
  name: 'flow-usage',
  summary: 'How many flows there are, of which formats, and the bytes of the objects that they use (each object counted once).',
  filters: ALL_FILTERS,
  parameters: Type.Object({}),
  shape: 'object',
  result: Type.Object({
    total_flows: Whole,
    format_distribution: Tally,
    estimated_storage_bytes: Whole,
    average_flow_size: Nullable(Real),
  }),
  plan: (_, filters) => {
    const flows = flowRows(filters)
    return {
      datasets: [request('flows', ['format'], flows), request('used_objects', ['size'], isEverything(flows) ? flows : usedBy(flows))],
      sql: `
        with bytes as (select coalesce(sum(size), 0) as total from used_objects),
        formats as (select format, count(*) as flows from flows group by format)
        select
          (select count(*) from flows) as total_flows,
          coalesce((select map_from_entries(list((format, flows) order by format)) from formats), map {}::map(varchar, bigint)) as format_distribution,
          bytes.total as estimated_storage_bytes,
          bytes.total::double / nullif((select count(*) from flows), 0) as average_flow_size
        from bytes`,
    }
  },
})
