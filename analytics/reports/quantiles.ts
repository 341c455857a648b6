/**
 * Common table expressions that end with `quantiles (grp, q)`: per group of `source (grp, value)` the values at these fractions, between
 * values by linear interpolation, as a list. Where the first rows show that few values are there, each is looked at once with its
 * number, which is several times faster than looking for places among all rows; otherwise there is nothing to gain.
 */
export const quantilesSql = (source: string, fractions: readonly number[]): string => `
        sampled as (select count(distinct value) <= ${FEW} as few from (select value from ${source} limit ${SAMPLE})),
        counted as (
          select grp, value, count(*) as n from ${source}, sampled where few and value is not null group by grp, value
        ),
        ranked as (
          select grp, value, sum(n) over (partition by grp order by value) as upto, sum(n) over (partition by grp) as total from counted
        ),
        places as (
          select grp, value, upto, fraction, fraction * (total - 1) as place
          from ranked, (select unnest([${fractions.join(', ')}]) as fraction)
        ),
        bounds as (
          select
            grp,
            fraction,
            any_value(place) - floor(any_value(place)) as share,
            min(value) filter (upto > floor(place)) as lower,
            min(value) filter (upto > ceil(place)) as upper
          from places
          group by grp, fraction
        ),
        quantiles as (
          select grp, list(lower + (upper - lower) * share order by fraction) as q from bounds group by grp
          union all
          select grp, quantile_cont(value, [${fractions.join(', ')}]) as q from ${source}, sampled where not few group by grp
        )`

const SAMPLE = 100_000
const FEW = 5000
