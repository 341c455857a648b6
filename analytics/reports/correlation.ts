import { Type } from '@sinclair/typebox'
import { invalid } from '../../src/core/errors.ts'
import { MetricParameter, measure, metricOf } from '../metrics.ts'
import { report } from '../report.ts'
import { FEW, SAMPLE } from './quantiles.ts'
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
        with measured as (${select}),
        pairs as (select value as x, second as y from measured where value is not null and second is not null),
        -- Of equal values (twice) the mean of their ranks: the first one's and, counting up to all equals, the last one's.
        -- Where there are few different x, as of durations, counting them spares one sorting of all.
        sampled as (select count(distinct x) <= ${FEW} as few from (select x from pairs limit ${SAMPLE})),
        counted as (select x, count(*) as n from pairs, sampled where few group by x),
        upto as (select x, 2 * sum(n) over (order by x) - n + 1 as rank_x from counted),
        ranked_x as (
          select p.y, u.rank_x::double as rank_x from pairs p join upto u on u.x = p.x
          union all
          select y, rank() over (order by x) + cume_dist() over (order by x) * (select count(*) from pairs)
          from pairs, sampled where not few
        ),
        ranked as (
          select rank_x, rank() over (order by y) + cume_dist() over (order by y) * (select count(*) from pairs) as rank_y from ranked_x
        )
        select
          count(*) as count,
          ${finiteSql('corr(x, y)')} as pearson,
          (select ${finiteSql('corr(rank_x, rank_y)')} from ranked) as spearman,
          ${finiteSql('regr_slope(y, x)')} as slope,
          ${finiteSql('regr_intercept(y, x)')} as intercept,
          ${finiteSql('regr_r2(y, x)')} as r2
        from pairs`,
    }
  },
})
