import { encodeBuckets, encodeSnapshots } from '../../../../src/vastdb/wire/xml.ts'
import { bucketOf, type Handler } from '../exchange.ts'

const xml = (text: string) => ({ headers: { 'content-type': 'application/xml' }, body: new TextEncoder().encode(text) })

export const listBuckets: Handler = ({ rules }) => xml(encodeBuckets(rules.buckets))

export const headBucket: Handler = (exchange) => {
  bucketOf(exchange)
  return {}
}

/** The emulator takes no snapshots of its own. */
export const listSnapshots: Handler = (exchange) => {
  bucketOf(exchange)
  return xml(encodeSnapshots({ names: [], truncated: false, marker: '' }))
}
