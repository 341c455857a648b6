import { invalid } from '../src/core/errors.ts'
import type { SegmentUpload } from '../src/domain/segment-upload.ts'
import { type FormReader, formBoundary, readForm } from './form-data.ts'
import { bodyOf } from './json-body.ts'

/** The JSON of one segment. */
const SEGMENT_LIMIT = 1024 * 1024

export interface SegmentForm {
  /** What is wrong with the form is thrown when it is asked for: an unknown flow is 404 whatever the body. */
  readonly read: () => SegmentUpload
  /** To be called at the end, whatever has become of it. */
  close(): Promise<void>
}

export const isForm = (request: Request): boolean => /^\s*multipart\/form-data\b/i.test(request.headers.get('content-type') ?? '')

/**
 * The form of an upload through the server: a part `segment` with JSON, behind it a part `file`, and nothing else. The segment comes
 * first, so that a file is taken only for one that can be registered, and goes where it belongs.
 */
export const segmentForm = async (request: Request): Promise<SegmentForm> => {
  let form: FormReader | undefined
  const close = async () => {
    await form?.cancel('the request is answered').catch(() => undefined)
  }
  try {
    const boundary = formBoundary(request.headers.get('content-type'))
    if (boundary === undefined || !request.body) throw invalid('body', 'is required')
    form = readForm(request.body, boundary)
    const upload = await readUpload(form, request.url)
    return { read: upload, close }
  } catch (error) {
    const read = () => {
      throw error
    }
    return { read, close }
  }
}

const readUpload = async (form: FormReader, url: string): Promise<() => SegmentUpload> => {
  const segment = await part(form, 'segment')
  const json = await bodyOf(new Request(url, { method: 'POST', body: segment.body }), SEGMENT_LIMIT)
  // A part that is not read to its end has no part behind it.
  json()
  const file = await part(form, 'file')
  const end = async () => {
    const more = await form.next()
    if (more) throw unexpected(more.name)
  }
  return () => ({ segment: json(), contentType: file.contentType, file: file.body, end })
}

const part = async (form: FormReader, name: 'segment' | 'file') => {
  const next = await form.next()
  if (!next) throw invalid(name, 'is missing in the form')
  if (next.name !== name) throw unexpected(next.name)
  return next
}

const unexpected = (name: string) =>
  invalid(
    'body',
    `has a part ${JSON.stringify(name.slice(0, 100))} where it may not be: the form is one part segment and behind it one part file`,
  )
