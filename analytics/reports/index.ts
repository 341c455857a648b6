import type { Report } from '../report.ts'
import { anomalies } from './anomalies.ts'
import { catalogSummary } from './catalog-summary.ts'
import { correlation } from './correlation.ts'
import { cost } from './cost.ts'
import { coverage } from './coverage.ts'
import { distribution } from './distribution.ts'
import { flowUsage } from './flow-usage.ts'
import { gaps } from './gaps.ts'
import { growth } from './growth.ts'
import { ingestRate } from './ingest-rate.ts'
import { movingAverage } from './moving-average.ts'
import { orphans } from './orphans.ts'
import { percentiles } from './percentiles.ts'
import { retentionOutlook } from './retention-outlook.ts'
import { reuse } from './reuse.ts'
import { storageUsage } from './storage-usage.ts'
import { tagUsage } from './tag-usage.ts'
import { timeRangeAnalysis } from './time-range-analysis.ts'
import { topN } from './top-n.ts'
import { trends } from './trends.ts'

export const reports: readonly Report[] = [
  flowUsage,
  storageUsage,
  timeRangeAnalysis,
  catalogSummary,
  tagUsage,
  percentiles,
  trends,
  movingAverage,
  anomalies,
  correlation,
  distribution,
  topN,
  gaps,
  coverage,
  ingestRate,
  growth,
  orphans,
  reuse,
  retentionOutlook,
  cost,
]
