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
      pairs: `select value as x, second as y from (${select}) where value is not null and second is not null`,
      sql: `
        with sums as (
          select
            $count::bigint as count,
            $mean_x as mean_x,
            $mean_y as mean_y,
            -- Ranks show exactly where all are equal; here rounding could leave something.
            case when $rank_xx > 0 then $xx end as xx,
            case when $rank_yy > 0 then $yy end as yy,
            $xy as xy,
            $rank_xy / sqrt($rank_xx) / sqrt($rank_yy) as spearman
        )
        select
          count,
          ${finiteSql('xy / sqrt(xx) / sqrt(yy)')} as pearson,
          ${finiteSql('spearman')} as spearman,
          ${finiteSql('xy / xx')} as slope,
          ${finiteSql('mean_y - xy / xx * mean_x')} as intercept,
          ${finiteSql('coalesce(xy * xy / xx / yy, case when xx > 0 then 1.0 end)')} as r2
        from sums`,
    }
  },
})
