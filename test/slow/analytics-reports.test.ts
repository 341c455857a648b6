// Every report again, on more stores than each run of the tests has time for.
process.env.TAMS_TEST_STORES = '20'

await import('../analytics/reports-catalog.test.ts')
await import('../analytics/reports-statistics.test.ts')
await import('../analytics/reports-timeline.test.ts')

export {}
