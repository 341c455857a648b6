import { AUDIO_ID, OBJECT_ID, STORAGE_ID, VIDEO_ID } from './examples.ts'

/** What reports answer: the object, or one of the rows. From a seeded store, shortened. */
const reports: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'flow-usage': {
    total_flows: 20,
    format_distribution: { 'urn:x-nmos:format:audio': 4, 'urn:x-nmos:format:video': 16 },
    estimated_storage_bytes: 7219310740,
    average_flow_size: 360965537,
  },
  'storage-usage': {
    total_objects: 2000,
    total_size_bytes: 7219310740,
    average_size_bytes: 3609655.37,
    unknown_size_objects: 0,
    most_accessed: [{ object_id: OBJECT_ID, access_count: 699, size: 210852 }],
    least_accessed: [{ object_id: '065e69ca8f6070ced9dbe41806a674a3', access_count: 0, size: 2423743 }],
    average_access_count: 2.5015,
    size_distribution: { small: 1071, medium: 929, large: 0, xlarge: 0 },
  },
  'time-range-analysis': {
    total_segments: 2000,
    average_duration_seconds: 7.14686,
    min_duration_seconds: 1.96,
    max_duration_seconds: 50,
    total_duration_seconds: 14293.72,
    time_range: '[1792658323:0_1794871483:440000000)',
    duration_statistics: { p25: 4, median: 9.96, p75: 10, p95: 10, standard_deviation: 3.443254 },
    coverage: { flows_covered: 15, segments_covered: 2000 },
  },
  'catalog-summary': {
    counts: { sources: 10, flows: 20, segments: 2000, objects: 2000, profiles: 0, storage_backends: 1 },
    by_format: { 'urn:x-nmos:format:audio': 4, 'urn:x-nmos:format:video': 16 },
    by_codec: { 'audio/aac': 4, 'video/h264': 16 },
    by_container: { 'video/mp2t': 20 },
    total_size_bytes: 7219310740,
    media_timerange: '[1792658323:0_1794871483:440000000)',
    earliest_created: '2026-10-22T08:38:43.234928Z',
    latest_created: '2026-11-19T22:44:03.627933Z',
    deleted: { sources: 0, flows: 1, objects: 0 },
  },
  'tag-usage': { name: 'venue', value: 'Leeds', sources: 2, flows: 9, segments: 0, total: 11 },
  percentiles: {
    group: null,
    count: 2000,
    mean: 7.14686,
    min: 1.96,
    p25: 4,
    p50: 9.96,
    p75: 10,
    p90: 10,
    p95: 10,
    p99: 10,
    max: 50,
  },
  trends: {
    buckets: 2,
    slope_per_bucket: -0.984067,
    intercept: 5.418461,
    r2: 1,
    series: [
      { bucket: '2026-11-09T00:00:00Z', value: 5.418461 },
      { bucket: '2026-11-16T00:00:00Z', value: 4.434394 },
    ],
    forecast: [{ bucket: '2026-11-23T00:00:00Z', value: 3.450327 }],
  },
  'moving-average': {
    bucket: '2026-11-16T00:00:00Z',
    count: 307,
    value: 4.434397,
    moving_average: 6.780671,
    moving_min: 4.434397,
    moving_max: 10.069799,
    change: -1.035022,
    running_total: 33.903357,
  },
  anomalies: {
    flow_id: VIDEO_ID,
    start_ns: '1793028441353000000',
    object_id: OBJECT_ID,
    value: 50,
    expected: 7.14686,
    score: 12.445536,
  },
  correlation: { count: 2000, pearson: -0.243202, spearman: -0.354094, slope: -409458.236634, intercept: 6535996.063068, r2: 0.059147 },
  distribution: { lower: 0, upper: 5, count: 606, fraction: 0.303 },
  'top-n': { group: VIDEO_ID, start_ns: '1793028441353000000', count: 1, value: 50 },
  gaps: {
    flow_id: VIDEO_ID,
    timerange: '[1794838084:640000000_1794838654:590000000)',
    start_ns: '1794838084640000000',
    end_ns: '1794838654590000000',
    gap_seconds: 569.95,
  },
  coverage: {
    flow_id: AUDIO_ID,
    timerange: '[1794837853:0_1794838775:150000000)',
    segments: 174,
    covered_seconds: 352.2,
    range_seconds: 922.15,
    fraction: 0.381933524914602,
  },
  'ingest-rate': {
    bucket: '2026-11-16T00:00:00Z',
    segments: 307,
    media_seconds: 1361.36,
    objects: 307,
    bytes: 107263293,
    segments_per_second: 0.000507606,
    bytes_per_second: 177.353327,
  },
  growth: {
    total_bytes: 7219310740,
    total_objects: 2000,
    bytes_per_bucket: 107263293,
    r2: 1,
    series: [
      { bucket: '2026-11-09T00:00:00Z', bytes: 7112047447, objects: 1693 },
      { bucket: '2026-11-16T00:00:00Z', bytes: 7219310740, objects: 2000 },
    ],
    forecast: [{ bucket: '2026-11-23T00:00:00Z', bytes: 7326574033 }],
  },
  orphans: {
    orphaned_objects: 1,
    orphaned_bytes: 2423743,
    objects: [
      {
        object_id: OBJECT_ID,
        size: 2423743,
        created: '2026-10-22T08:38:43.234928Z',
        explicit: false,
        first_referenced_by_flow: null,
      },
    ],
  },
  reuse: {
    used_objects: 2000,
    reused_objects: 1,
    objects_in_several_flows: 1,
    bytes_saved: 2423743,
    objects: [{ object_id: OBJECT_ID, segments: 2, flows: 2, size: 2423743, bytes_saved: 2423743 }],
  },
  'retention-outlook': {
    flow_id: VIDEO_ID,
    flow_retention_seconds: 864000,
    flow_due: '2026-11-29T22:44:03.627933Z',
    segment_retention_seconds: 432000,
    segments: 174,
    segments_due: 174,
    flow_is_due: false,
  },
  cost: {
    storage_backend_id: STORAGE_ID,
    label: 'embedded',
    objects: 2000,
    bytes: 7219310740,
    unknown_size_objects: 0,
    price_per_gigabyte: 0.02,
    cost_per_month: 0.1443862148,
  },
}

/** What every JSON answer says of its query. */
export const query = { name: '', parameters: {}, rows_scanned: 2020, rows_returned: 1, truncated: false, cache: 'none', elapsed_ms: 51.01 }

export const reportExample = (name: string): { readonly example: Readonly<Record<string, unknown>>; readonly csv: string } => {
  const example = reports[name]
  if (!example) throw new Error(`report ${name} has no example`)
  const fields = Object.values(example).map((value) => {
    const text = typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value ?? '')
    return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  })
  return { example, csv: `${Object.keys(example).join(',')}\r\n${fields.join(',')}\r\n` }
}

export const queryBody = {
  sql: 'select format, count(*) as flows from flows where created >= $1::timestamp group by format order by flows desc',
  parameters: ['2026-03-01'],
  limit: 1000,
}
export const queryRows = [{ format: 'urn:x-nmos:format:video', flows: 18 }]

export const catalog = {
  reports: [
    {
      name: 'coverage',
      path: '/analytics/coverage',
      summary: 'Which fraction of a timerange each flow has media for, the least covered first.',
      filters: ['timerange', 'source_id', 'flow_id'],
      parameters: { n: { type: 'integer', minimum: 1, maximum: 10000, default: 1000, description: 'At most so many flows' } },
      shape: 'table',
      result: { flow_id: { type: 'string' }, fraction: { anyOf: [{ type: 'number' }, { type: 'null' }] } },
    },
  ],
  metrics: [{ name: 'segment_duration', of: 'segments', unit: 'seconds', meaning: 'length of a segment on the timeline' }],
  filters: { flow_id: 'of this flow' },
  formats: ['json', 'csv', 'arrow', 'parquet'],
  views: { tags: ['entity_type', 'entity_id', 'name', 'position', 'value', 'empty_list'] },
}

export const performance = {
  queries: [
    {
      name: 'percentiles',
      queries: 12,
      errors: 0,
      result_cache_hits: 7,
      mean_ms: 61.4,
      p50_ms: 2.1,
      p95_ms: 402.6,
      max_ms: 402.6,
      rows_scanned: 20050,
      rows_returned: 12,
      bytes_loaded: 500000,
    },
  ],
  slow_queries: [
    {
      name: 'percentiles',
      started: '2026-03-02T09:15:00Z',
      elapsed_ms: 1402.6,
      load_ms: 1300.2,
      rows_scanned: 20050,
      rows_returned: 1,
      bytes_loaded: 500000,
      cache: 'none',
      status: 'ok',
    },
  ],
  hourly: [
    { name: 'percentiles', hour: '2026-03-02T09:00:00Z', queries: 5, mean_ms: 98.2, max_ms: 402.6, baseline_ms: 90.4, deviates: false },
  ],
}

export const cache = {
  results: { results: 3, cells: 120, max_cells: 1000000, ttl_seconds: 60, hits: 7, misses: 5 },
  tables: { tables: 2, bytes: 500000, max_bytes: 536870912, hits: 8, misses: 2, evictions: 0, rows_loaded: 20050, increments: 0 },
  memory_bytes: 4194304,
  memory_limit_bytes: 1073741824,
}
