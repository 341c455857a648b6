import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * What may happen to a request. `reset`: the connection breaks before it is carried out; `lost`: after it was, before the answer;
 * `cut`: in the middle of the answer's body; `stall`: the body stops there.
 */
export type Fault = 'hang' | 'internal_error' | 'slow_down' | 'forbidden' | 'reset' | 'lost' | 'cut' | 'stall'

export interface Stored {
  readonly bytes: Buffer
  readonly headers: Readonly<Record<string, string>>
}

export interface StubS3 {
  readonly endpoint: string
  readonly objects: Map<string, Stored>
  /** Uploads that are neither completed nor aborted. */
  readonly uploads: Map<string, Map<number, Buffer>>
  /** Where the object of each of them will be. */
  readonly uploadKeys: Map<string, string>
  /** Bytes of the first part of what was uploaded in parts. */
  readonly partSizes: Map<string, number>
  /** Operations in the order in which they arrived. */
  readonly calls: string[]
  /** Asked for each request; the default never fails. */
  fault: (operation: string) => Fault | undefined
  /** Per-key failures of DeleteObjects: asked for each key. */
  deleteFault: (key: string) => string | undefined
  conditional: boolean
  /** How keys are listed. */
  sort: (keys: string[]) => string[]
  cors: boolean
  bucketExists: boolean
  /** `Date` of the answers; undefined: the machine's. */
  date: string | undefined
  close(): void
}

const PAGE = 3

/** As much of S3 as the engine uses, in memory, with path-style keys in the bucket `media`; it checks no signatures. */
export const stubS3 = async (): Promise<StubS3> => {
  const state: Omit<StubS3, 'endpoint' | 'close'> = {
    objects: new Map(),
    uploads: new Map(),
    uploadKeys: new Map(),
    partSizes: new Map(),
    calls: [],
    fault: () => undefined,
    deleteFault: () => undefined,
    conditional: true,
    sort: (keys) => keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    cors: true,
    bucketExists: true,
    date: undefined,
  }
  const creations = new Map<string, Readonly<Record<string, string>>>()
  const server = createServer((request, response) => void handle(stub, creations, request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stub: StubS3 = Object.assign(state, {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  })
  return stub
}

interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

const handle = async (
  stub: StubS3,
  creations: Map<string, Readonly<Record<string, string>>>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> => {
  const url = new URL(request.url ?? '/', stub.endpoint)
  const operation = operationOf(request.method ?? '', url, request.headers['x-amz-copy-source'] !== undefined)
  stub.calls.push(operation)
  const body = Buffer.concat(await Array.fromAsync(request))
  const fault = stub.fault(operation)
  if (fault === 'hang') return
  if (fault === 'reset') return void request.socket.destroy()
  const failure = fault === undefined ? undefined : failures[fault]
  const answer = failure ?? carryOut(stub, creations, operation, url, request, body)
  if (fault === 'lost') return void request.socket.destroy()
  const bytes = Buffer.from(answer.body ?? '')
  const length = request.method === 'HEAD' ? undefined : String(bytes.length)
  response.writeHead(answer.status, {
    ...(length && { 'content-length': length }),
    ...(stub.date && { date: stub.date }),
    ...answer.headers,
  })
  if (fault === 'cut' || fault === 'stall') {
    response.write(bytes.subarray(0, bytes.length / 2), () => {
      if (fault === 'cut') request.socket.destroy()
    })
  } else if (request.method === 'HEAD') {
    response.end()
  } else {
    response.end(bytes)
  }
}

const operationOf = (method: string, { pathname, searchParams: query }: URL, copies: boolean): string => {
  const key = keyOf(pathname)
  if (method === 'OPTIONS') return 'Preflight'
  if (key === '' && query.has('uploads')) return 'ListMultipartUploads'
  if (key === '')
    return method === 'POST' ? 'DeleteObjects' : method === 'HEAD' ? 'HeadBucket' : method === 'PUT' ? 'PutBucketCors' : 'ListObjectsV2'
  if (method === 'POST') return query.has('uploads') ? 'CreateMultipartUpload' : 'CompleteMultipartUpload'
  if (query.has('uploadId'))
    return { DELETE: 'AbortMultipartUpload', GET: 'ListParts' }[method] ?? (copies ? 'UploadPartCopy' : 'UploadPart')
  if (method === 'PUT' && copies) return 'CopyObject'
  return { GET: 'GetObject', HEAD: 'HeadObject', PUT: 'PutObject', DELETE: 'DeleteObject' }[method] ?? method
}

const keyOf = (pathname: string): string => decodeURIComponent(pathname.replace(/^\/media\/?/, ''))

const carryOut = (
  stub: StubS3,
  creations: Map<string, Readonly<Record<string, string>>>,
  operation: string,
  url: URL,
  { headers }: IncomingMessage,
  body: Buffer,
): Answer => {
  if (!stub.bucketExists) return error(404, 'NoSuchBucket')
  const key = keyOf(url.pathname)
  const found = stub.objects.get(key)
  const uploadId = url.searchParams.get('uploadId') ?? ''
  const parts = stub.uploads.get(uploadId)
  const md5 = headers['content-md5']
  if (md5 !== undefined && md5 !== createHash('md5').update(body).digest('base64')) return error(400, 'BadDigest')
  const source = copySource(stub, headers)
  const exists = stub.conditional && headers['if-none-match'] === '*' && found !== undefined
  switch (operation) {
    case 'Preflight':
      return stub.cors ? { status: 200, headers: { 'access-control-allow-origin': '*' } } : error(403, 'AccessForbidden')
    case 'HeadBucket':
      return { status: 200 }
    case 'PutBucketCors':
      stub.cors = true
      return { status: 200 }
    case 'ListObjectsV2':
      return list(stub, url.searchParams)
    case 'DeleteObjects':
      return deleteAll(stub, body.toString())
    case 'PutObject':
      return exists
        ? error(412, 'PreconditionFailed')
        : store(stub, key, body, kept({ ...Object.fromEntries(url.searchParams), ...headers }))
    case 'CopyObject': {
      if (!source) return error(412, 'PreconditionFailed')
      store(stub, key, source, kept(headers))
      return { status: 200, body: `<CopyObjectResult><ETag>${etagOf(source)}</ETag></CopyObjectResult>` }
    }
    case 'ListMultipartUploads': {
      const prefix = url.searchParams.get('prefix') ?? ''
      const found = [...stub.uploads.keys()].filter((id) => stub.uploadKeys.get(id)?.startsWith(prefix))
      const uploads = found.map((id) => `<Upload><Key>${escapeXml(stub.uploadKeys.get(id) ?? '')}</Key><UploadId>${id}</UploadId></Upload>`)
      return { status: 200, body: `<ListMultipartUploadsResult>${uploads.join('')}</ListMultipartUploadsResult>` }
    }
    case 'ListParts': {
      if (!parts) return error(404, 'NoSuchUpload')
      const listed = [...parts].map(
        ([number, bytes]) => `<Part><PartNumber>${number}</PartNumber><ETag>${etagOf(bytes)}</ETag><Size>${bytes.length}</Size></Part>`,
      )
      return { status: 200, body: `<ListPartsResult><IsTruncated>false</IsTruncated>${listed.join('')}</ListPartsResult>` }
    }
    case 'UploadPartCopy': {
      if (!parts) return error(404, 'NoSuchUpload')
      if (!source) return error(412, 'PreconditionFailed')
      parts.set(Number(url.searchParams.get('partNumber')), source)
      return { status: 200, body: `<CopyPartResult><ETag>${etagOf(source)}</ETag></CopyPartResult>` }
    }
    case 'CreateMultipartUpload': {
      const id = `upload-${stub.calls.length}`
      stub.uploads.set(id, new Map())
      stub.uploadKeys.set(id, key)
      creations.set(id, kept(headers))
      return { status: 200, body: `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>` }
    }
    case 'UploadPart':
      if (!parts) return error(404, 'NoSuchUpload')
      parts.set(Number(url.searchParams.get('partNumber')), body)
      return { status: 200, headers: { etag: etagOf(body) } }
    case 'AbortMultipartUpload':
      return stub.uploads.delete(uploadId) ? { status: 204 } : error(404, 'NoSuchUpload')
    case 'CompleteMultipartUpload': {
      if (!parts) return error(404, 'NoSuchUpload')
      if (exists) return error(412, 'PreconditionFailed')
      stub.uploads.delete(uploadId)
      const bytes = Buffer.concat([...parts].sort(([a], [b]) => a - b).map(([, part]) => part))
      const etag = `"${createHash('md5')
        .update(Buffer.concat([...parts].sort(([a], [b]) => a - b).map(([, part]) => md5Of(part))))
        .digest('hex')}-${parts.size}"`
      store(stub, key, bytes, creations.get(uploadId) ?? {}, etag)
      stub.partSizes.set(key, parts.get(1)?.length ?? 0)
      return { status: 200, body: `<CompleteMultipartUploadResult><ETag>${etag}</ETag></CompleteMultipartUploadResult>` }
    }
    case 'DeleteObject':
      stub.objects.delete(key)
      return { status: 204 }
    default:
      if (!found) return error(404, 'NoSuchKey')
      if (operation === 'HeadObject' && url.searchParams.has('partNumber')) {
        const length = String(stub.partSizes.get(key) ?? found.bytes.length)
        return { status: 206, headers: { ...found.headers, 'content-length': length } }
      }
      if (operation === 'GetObject' && headers.range !== undefined) return ranged(found, headers.range)
      return operation === 'HeadObject'
        ? { status: 200, headers: { ...found.headers, 'content-length': String(found.bytes.length) } }
        : { status: 200, headers: found.headers, body: found.bytes }
  }
}

const ranged = ({ bytes, headers }: Stored, range: string): Answer => {
  const [, start = '0', end = ''] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? []
  const body = bytes.subarray(Number(start), Number(end) + 1)
  return { status: 206, headers: { ...headers, 'content-range': `bytes ${start}-${end}/${bytes.length}` }, body }
}

const kept = (headers: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      typeof value === 'string' && (name === 'content-type' || name.startsWith('x-amz-meta-')) ? [[name, value]] : [],
    ),
  )

/** The bytes that a copy asks for; undefined when the source has another tag by now. */
const copySource = ({ objects }: StubS3, headers: IncomingMessage['headers']): Buffer | undefined => {
  const from = headers['x-amz-copy-source']
  if (typeof from !== 'string') return undefined
  const found = objects.get(keyOf(`/${from}`))
  if (!found || (headers['x-amz-copy-source-if-match'] ?? found.headers.etag) !== found.headers.etag) return undefined
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(String(headers['x-amz-copy-source-range'] ?? '')) ?? []
  return start === undefined ? found.bytes : found.bytes.subarray(Number(start), Number(end) + 1)
}

const store = (
  stub: StubS3,
  key: string,
  bytes: Buffer,
  headers: Readonly<Record<string, string>>,
  etag: string = etagOf(bytes),
): Answer => {
  stub.objects.set(key, { bytes, headers: { ...headers, etag, 'last-modified': 'Sat, 21 Nov 2026 03:04:05 GMT' } })
  return { status: 200, headers: { etag } }
}

const deleteAll = (stub: StubS3, xml: string): Answer => {
  const errors: string[] = []
  for (const [, key = ''] of xml.matchAll(/<Key>([^<]*)<\/Key>/g)) {
    const code = stub.deleteFault(key)
    if (code === undefined) stub.objects.delete(key)
    else errors.push(`<Error><Key>${key}</Key><Code>${code}</Code></Error>`)
  }
  return { status: 200, body: `<DeleteResult>${errors.join('')}</DeleteResult>` }
}

const list = (stub: StubS3, query: URLSearchParams): Answer => {
  const from = query.get('continuation-token') ?? query.get('start-after') ?? ''
  const keys = stub.sort([...stub.objects.keys()])
  const start = from === '' ? 0 : query.has('continuation-token') ? keys.indexOf(from) + 1 : keys.filter((key) => key <= from).length
  const page = keys.slice(start, start + PAGE)
  const contents = page.map(
    (key) =>
      `<Contents><Key>${encodeURIComponent(key)}</Key><Size>${stub.objects.get(key)?.bytes.length}</Size>` +
      '<ETag>"e"</ETag><LastModified>2026-11-21T03:04:05.678Z</LastModified></Contents>',
  )
  const more = start + PAGE < keys.length
  const next = more ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : ''
  const body = `<EncodingType>url</EncodingType><IsTruncated>${more}</IsTruncated>${next}${contents.join('')}`
  return { status: 200, body: `<ListBucketResult>${body}</ListBucketResult>` }
}

const md5Of = (bytes: Buffer): Buffer => createHash('md5').update(bytes).digest()
const etagOf = (bytes: Buffer): string => `"${md5Of(bytes).toString('hex')}"`
const escapeXml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

const error = (status: number, code: string): Answer => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<Error><Code>${code}</Code><Message>${code}</Message></Error>`,
})

const failures: Readonly<Partial<Record<Fault, Answer>>> = {
  internal_error: error(500, 'InternalError'),
  slow_down: error(503, 'SlowDown'),
  forbidden: error(403, 'AccessDenied'),
}
