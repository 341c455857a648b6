// An emulator of the VAST Database protocol for development and tests. It is not VAST.
import { parseArgs } from 'node:util'
import { startEmulator } from './index.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8080' },
    host: { type: 'string', default: '127.0.0.1' },
    data: { type: 'string' },
    bucket: { type: 'string', multiple: true, default: ['tams'] },
    'access-key': { type: 'string', default: 'test' },
    'secret-key': { type: 'string', default: 'test' },
    version: { type: 'string' },
    'latency-ms': { type: 'string', default: '0' },
  },
})

const emulator = await startEmulator({
  port: Number(values.port),
  host: values.host,
  data: values.data,
  buckets: values.bucket,
  credentials: { accessKey: values['access-key'], secretKey: values['secret-key'] },
  latencyMs: Number(values['latency-ms']),
  ...(values.version === undefined ? {} : { version: values.version }),
})

const kept = values.data === undefined ? 'in memory only, gone when this process ends (--data DIR keeps it)' : `kept in ${values.data}`
console.log(`VAST Database protocol emulator. This is not VAST: for development and tests only, never for data that matters.
  endpoint  ${emulator.url}
  buckets   ${values.bucket.join(', ')}
  data      ${kept}`)

const stop = () => {
  emulator.close().then(
    () => process.exit(0),
    () => process.exit(1),
  )
}
process.once('SIGINT', stop)
process.once('SIGTERM', stop)
