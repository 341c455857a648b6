import { expect, test } from 'bun:test'
import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import { createLog } from '../../src/telemetry/log.ts'
import { reporting } from '../../src/telemetry/reporting-exporter.ts'

const { SUCCESS, FAILED } = ExportResultCode

test('a collector that does not answer is named once, and once when it does again', () => {
  const messages: string[] = []
  const write = (line: string) => void messages.push((JSON.parse(line) as { msg: string }).msg)
  const log = createLog({ level: 'info', format: 'json', destination: { write } })
  let code: ExportResultCode = SUCCESS
  const exporter = reporting({ export: (_, done) => done({ code }), shutdown: async () => {} }, log)
  const results: ExportResult[] = []
  const exported = [SUCCESS, FAILED, FAILED, SUCCESS, SUCCESS, FAILED].map((next) => {
    code = next
    exporter.export([], (result) => results.push(result))
    return messages.length
  })
  expect(messages).toEqual(['traces cannot be sent', 'traces are sent again', 'traces cannot be sent'])
  expect(exported).toEqual([0, 1, 1, 2, 2, 3])
  // What failed is said here: the client would say it again for each export.
  expect(results.map((result) => result.code)).toEqual(Array(6).fill(SUCCESS))
})
