/**
 * Common table expressions that end with `described (grp, count, total, mean, deviation, least, most, q)`: what there is to say of the
 * values that are not null, per group of `source (grp, value)`; `q` lists the values at these fractions, between values by linear
 * interpolation. Where the first rows show that there are few different values, each is looked at once with its number, which is
 * several times faster than looking for places among all rows; otherwise there is nothing to gain.
 */
export const describedSql = (source: string, fractions: readonly number[]): string => `
        sampled as (select count(distinct value) <= ${FEW} as few from (select value from ${source} limit ${SAMPLE})),
        counted as (select grp, value, count(*) as n from ${source}, sampled where few group by grp, value),
        ranked as (
          select grp, value, sum(n) over (partition by grp order by value) as upto, sum(n) over (partition by grp) as total
          from counted where value is not null
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
        listed as (select grp, list(lower + (upper - lower) * share order by fraction) as q from bounds group by grp),
        summed as (
          select
            grp,
            coalesce(sum(n) filter (value is not null), 0)::bigint as count,
            sum(value * n) as total,
            sum(value * n) / nullif(sum(n) filter (value is not null), 0) as mean,
            min(value) as least,
            max(value) as most
          from counted
          group by grp
        ),
        spread as (
          select c.grp, sqrt(sum(c.n * (c.value - s.mean) ** 2) / any_value(s.count)) as deviation
          from counted c join summed s on s.grp is not distinct from c.grp
          where c.value is not null
          group by c.grp
        ),
        described as (
          select s.grp, s.count, s.total, s.mean, d.deviation, s.least, s.most, l.q
          from summed s
            left join listed l on l.grp is not distinct from s.grp
            left join spread d on d.grp is not distinct from s.grp
          union all
          select
            grp,
            count(value),
            sum(value),
            avg(value),
            stddev_pop(value),
            min(value),
            max(value),
            quantile_cont(value, [${fractions.join(', ')}])
          from ${source}, sampled
          where not few
          group by grp
        )`

/** So many first rows show whether different values are few. */
const SAMPLE = 100_000
const FEW = 5000
