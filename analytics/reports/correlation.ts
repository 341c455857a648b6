import { Type } from '@sinclair/typebox'
import { invalid } from '../../src/core/errors.ts'
import { MetricParameter, measure, metricOf } from '../metrics.ts'
import { report } from '../report.ts'
import { ALL_FILTERS, finiteSql, Nullable, Real, Whole } from './shared.ts'

const Value = Nullable(Real)

export const correlation = report({
  name: 'correlation',
  summary: 'How two metrics of the same things go together: Pearson’s and Spearman’s coefficient, and the straight line of y over x.',
  filters: ALL_FILTERS,
  parameters: Type.Object({ x: MetricParameter('object_duration'), y: MetricParameter('object_size') }),
  shape: 'object',
  result: Type.Object({ count: Whole, pearson: Value, spearman: Value, slope: Value, intercept: Value, r2: Value }),
  plan: ({ x, y }, filters) => {
    if (metricOf(x).of !== metricOf(y).of)
      throw invalid('y', `${y} is a metric of ${metricOf(y).of} and ${x} of ${metricOf(x).of}; both have to be of the same things`)
    const { select, datasets } = measure(x, filters, { second: y })
    return {
      datasets,
      sql: `
        with pairs as not materialized (
          select value as x, second as y from (${select}) where value is not null and second is not null
        ),
        total as materialized (select count(*) as n from pairs),
        -- Ranks are twice what they are called, less their mean: of equal values the mean of their ranks is that of the first one's and,
        -- counting up to all equals, the last one's.
        ranked as (
          select x, y, rank() over upward + cume_dist() over upward * (select n from total) - (select n + 1 from total) as rank_y
          from pairs window upward as (order by y)
        ),
        -- All the rest is made of one row for each different x, of which there are often few. Sorting by y is most of the work.
        by_x as (
          select
            x,
            count(*) as n,
            avg(y) as y,
            var_pop(y) as spread,
            sum(rank_y) as ranks,
            sum(rank_y * rank_y) as squares
          from ranked
          group by x
        ),
        placed as (
          select
            *,
            (2 * sum(n) over (order by x) - n - (select n from total))::double as rank_x,
            x - sum(n * x) over () / sum(n) over () as dx,
            y - sum(n * y) over () / sum(n) over () as dy
          from by_x
        ),
        summed as (
          select
            coalesce(sum(n), 0)::bigint as count,
            -- Ranks show exactly where all are equal; here rounding could leave something.
            case when sum(n * rank_x * rank_x) > 0 then sum(n * dx * dx) end as xx,
            case when sum(squares) > 0 then sum(n * (spread + dy * dy)) end as yy,
            sum(n * dx * dy) as xy,
            sum(n * rank_x * rank_x) as rank_xx,
            sum(squares) as rank_yy,
            sum(rank_x * ranks) as rank_xy,
            sum(n * x) / sum(n) as mean_x,
            sum(n * y) / sum(n) as mean_y
          from placed
        )
        select
          count,
          ${finiteSql('xy / sqrt(xx) / sqrt(yy)')} as pearson,
          ${finiteSql('rank_xy / sqrt(rank_xx) / sqrt(rank_yy)')} as spearman,
          ${finiteSql('xy / xx')} as slope,
          ${finiteSql('mean_y - xy / xx * mean_x')} as intercept,
          ${finiteSql('coalesce(xy * xy / xx / yy, case when xx > 0 then 1.0 end)')} as r2
        from summed`,
    }
  },
})
