// The little XML of the protocol: error bodies and the S3 listings of buckets and snapshots. Elements without attributes and namespaces are enough.

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

const toXml = (text: string): string => text.replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c] ?? c)

const fromXml = (text: string): string =>
  text.replace(/&(#x[0-9a-fA-F]{1,6}|#\d{1,7}|\w+);/g, (whole, name: string) => {
    if (!name.startsWith('#')) return ENTITIES[name] ?? whole
    const code = name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1))
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })

const contents = (xml: string, element: string): string[] =>
  [...xml.matchAll(new RegExp(`<${element}(?:\\s[^>]*)?>([\\s\\S]*?)</${element}>`, 'g'))].map((match) => match[1] ?? '')

const text = (xml: string, element: string): string | undefined => {
  const [content] = contents(xml, element)
  return content === undefined ? undefined : fromXml(content.trim())
}

const HEAD = '<?xml version="1.0" encoding="UTF-8"?>'

export interface ErrorBody {
  readonly code?: string | undefined
  readonly message?: string | undefined
  readonly resource?: string | undefined
  readonly requestId?: string | undefined
}

export const encodeError = ({ code = '', message = '', resource = '', requestId = '' }: ErrorBody): string =>
  `${HEAD}<Error><Code>${toXml(code)}</Code><Message>${toXml(message)}</Message><Resource>${toXml(resource)}</Resource><RequestId>${toXml(requestId)}</RequestId></Error>`

/** What can be read of an error body; anything else leaves all parts out. */
export const decodeError = (xml: string): ErrorBody => {
  const [body] = contents(xml, 'Error')
  if (body === undefined) return {}
  return { code: text(body, 'Code'), message: text(body, 'Message'), resource: text(body, 'Resource'), requestId: text(body, 'RequestId') }
}

export const encodeBuckets = (names: readonly string[]): string =>
  `${HEAD}<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID></ID><DisplayName></DisplayName></Owner><Buckets>${names
    .map((name) => `<Bucket><Name>${toXml(name)}</Name><CreationDate>1970-01-01T00:00:00.000Z</CreationDate></Bucket>`)
    .join('')}</Buckets></ListAllMyBucketsResult>`

export const decodeBuckets = (xml: string): string[] => contents(xml, 'Bucket').map((bucket) => text(bucket, 'Name') ?? '')

export interface SnapshotPage {
  readonly names: readonly string[]
  readonly truncated: boolean
  /** Fed back as the continuation token. */
  readonly marker: string
}

const SNAPSHOT = /^\.snapshot\/(.*)\/$/

export const encodeSnapshots = ({ names, truncated, marker }: SnapshotPage): string =>
  `${HEAD}<ListBucketResult><IsTruncated>${truncated}</IsTruncated><Marker>${toXml(marker)}</Marker>${names
    .map((name) => `<CommonPrefixes><Prefix>.snapshot/${toXml(name)}/</Prefix></CommonPrefixes>`)
    .join('')}</ListBucketResult>`

export const decodeSnapshots = (xml: string): SnapshotPage => ({
  names: contents(xml, 'CommonPrefixes').flatMap((prefix) => SNAPSHOT.exec(text(prefix, 'Prefix') ?? '')?.[1] ?? []),
  truncated: text(xml, 'IsTruncated') === 'true',
  marker: text(xml, 'Marker') ?? '',
})
