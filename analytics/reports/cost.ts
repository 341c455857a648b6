import { Type } from '@sinclair/typebox'
import { invalid } from '../../src/core/errors.ts'
import { eq, everything } from '../../src/core/predicate.ts'
import { isUuid, quote } from '../../src/core/uuid.ts'
import { request } from '../datasets.ts'
import { isEverything, objectRows } from '../filters.ts'
import { report } from '../report.ts'
import { FLOW_FILTERS, Nullable, Real, Text, Whole } from './shared.ts'

export const cost = report({
  name: 'cost',
  summary: 'Bytes in each storage backend and what they cost per month, by prices that you give.',
  filters: ['start_time', 'end_time', 'storage_backend_id', ...FLOW_FILTERS],
  parameters: Type.Object({
    price: Type.Number({
      minimum: 0,
      maximum: 1e9,
      default: 0,
      description: 'Per gigabyte (10⁹ bytes) and month, where `prices` names none',
    }),
    prices: Type.String({ default: '', description: 'Prices of single backends: `{storage id}:{price},…`' }),
  }),
  shape: 'table',
  result: Type.Object({
    storage_backend_id: Text,
    label: Nullable(Text),
    objects: Whole,
    bytes: Whole,
    unknown_size_objects: Whole,
    price_per_gigabyte: Real,
    cost_per_month: Real,
  }),
  plan: ({ price, prices }, filters) => {
    const { storageBackendId: _, ...others } = filters
    const chosen = objectRows(others)
    // Where all objects count, few do not, and few instances have no size of their own.
    const all = isEverything(chosen)
    const objects = request('objects', ['id', 'size'], chosen)
    return {
      datasets: [
        all ? request('uncounted_objects', ['id']) : objects,
        request(
          'object_instances',
          ['storage_id', 'object_id', 'size'],
          filters.storageBackendId === undefined ? everything : eq('storage_id', filters.storageBackendId),
        ),
        request('storage_backends', ['id', 'label']),
      ],
      steps: all
        ? [
            {
              kind: 'late',
              name: 'objects',
              request: objects,
              column: 'id',
              sql: 'select distinct object_id from object_instances where size is null',
            },
          ]
        : [],
      bind: { price, prices: JSON.stringify(parsePrices(prices)) },
      sql: `
      with counted as (
        select i.storage_id, coalesce(i.size, o.size) as size
        from object_instances i
          ${all ? 'anti join uncounted_objects u on u.object = i.object left' : ''} join objects o on o.object = i.object
      ),
      stored as (
        select storage_id, count(*) as objects, coalesce(sum(size), 0) as bytes, count(*) - count(size) as unknown_size_objects
        from counted
        group by storage_id
      ),
      prices as (select unnest(from_json($prices::varchar, '[{"id":"VARCHAR","price":"DOUBLE"}]'), recursive := true)),
      priced as (
        select s.*, b.label, coalesce(p.price, $price::double) as per_gigabyte
        from stored s left join storage_backends b on b.id = s.storage_id left join prices p on p.id = s.storage_id
      )
      select
        storage_id as storage_backend_id,
        label,
        objects,
        bytes,
        unknown_size_objects,
        per_gigabyte as price_per_gigabyte,
        bytes::double / 1e9 * per_gigabyte as cost_per_month
      from priced
      order by cost_per_month desc, bytes desc, storage_id`,
    }
  },
})

const parsePrices = (text: string): { readonly id: string; readonly price: number }[] =>
  text
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [id, price] = part.split(':')
      if (!isUuid(id) || price === undefined || !/^\d+(\.\d+)?$/.test(price))
        throw invalid('prices', `${quote(part)} is not of the form {storage id}:{price}`)
      return { id, price: Number(price) }
    })
