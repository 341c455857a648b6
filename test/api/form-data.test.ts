import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { formBoundary, readForm } from '../../api/form-data.ts'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

/** The bytes in pieces of these lengths, then the rest. `asked` counts the pieces. */
const streamOf = (bytes: Uint8Array, cuts: readonly number[] = []) => {
  const pieces: Uint8Array[] = []
  let at = 0
  for (const length of cuts) {
    pieces.push(bytes.slice(at, at + length))
    at += length
  }
  pieces.push(bytes.slice(at))
  const counted = { asked: 0 }
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const piece = pieces[counted.asked++]
        if (piece === undefined) controller.close()
        else controller.enqueue(piece)
      },
    },
    { highWaterMark: 0 },
  )
  return { stream, counted }
}

interface Read {
  readonly name: string
  readonly contentType: string | undefined
  readonly bytes: string
}

const readAll = async (bytes: Uint8Array, boundary: string, cuts?: readonly number[]): Promise<Read[]> => {
  const form = readForm(streamOf(bytes, cuts).stream, boundary)
  const parts: Read[] = []
  for (let part = await form.next(); part; part = await form.next()) {
    const chunks = await Array.fromAsync(part.body)
    parts.push({ name: part.name, contentType: part.contentType, bytes: Buffer.concat(chunks).toString('latin1') })
  }
  return parts
}

const failure = async (bytes: string, boundary = 'B', cuts?: readonly number[]): Promise<string> =>
  readAll(text(bytes), boundary, cuts).then(
    () => 'it was read',
    (error: unknown) => String(error instanceof Error ? error.message : error),
  )

const HEAD = 'Content-Disposition: form-data; name='

describe('the boundary', () => {
  test.each([
    ['multipart/form-data; boundary=abc', 'abc'],
    ['Multipart/Form-Data;charset=utf-8; BOUNDARY="a b:c"', 'a b:c'],
    ['multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW ; x=y', '----WebKitFormBoundary7MA4YWxkTrZu0gW'],
    ['application/json', undefined],
    ['multipart/mixed; boundary=abc', undefined],
    [null, undefined],
  ])('of %p is %p', (type, boundary) => {
    expect(formBoundary(type)).toBe(boundary)
  })

  test.each([
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary=""',
    `multipart/form-data; boundary=${'x'.repeat(71)}`,
  ])('is missed in %p', (type) => {
    expect(() => formBoundary(type)).toThrow('boundary')
  })
})

describe('a form', () => {
  /** Bytes that like to look like boundaries. */
  const content = (boundary: string) =>
    fc
      .array(
        fc.oneof(
          fc.constantFrom('\r\n', '\r', '\n', '--', '-', boundary.slice(0, -1), `\r\n--${boundary.slice(0, -1)}`),
          fc.string({ maxLength: 9 }),
        ),
        {
          maxLength: 12,
        },
      )
      .map((pieces) => pieces.join(''))
      .filter((whole) => !`\r\n${whole}\r\n`.includes(`\r\n--${boundary}`))
  const boundary = fc.stringMatching(/^[A-Za-z0-9'()+_,./:=?-]{2,30}$/)
  const name = fc.stringMatching(/^[a-z_]{1,12}$/)
  const form = boundary.chain((each) =>
    fc.tuple(fc.constant(each), fc.array(fc.tuple(name, content(each), fc.boolean()), { maxLength: 4 })),
  )

  test('is read as it was written, wherever its chunks end', async () => {
    const property = fc.asyncProperty(form, fc.array(fc.nat(40), { maxLength: 60 }), async ([edge, parts], cuts) => {
      const written = parts.map(([field, value, typed]) => {
        const type = typed ? 'Content-Type: video/mp2t\r\n' : ''
        return `--${edge}\r\n${HEAD}"${field}"\r\n${type}\r\n${value}\r\n`
      })
      const read = await readAll(text(`${written.join('')}--${edge}--\r\n`), edge, cuts)
      const bytes = (value: string) => Buffer.from(value, 'utf8').toString('latin1')
      expect(read).toEqual(
        parts.map(([field, value, typed]) => ({ name: field, contentType: typed ? 'video/mp2t' : undefined, bytes: bytes(value) })),
      )
    })
    await fc.assert(property, { numRuns: 400 })
  })

  test('is refused wherever it is cut off', async () => {
    const whole = `--B\r\n${HEAD}"a"\r\n\r\none\r\n--B\r\n${HEAD}"b"\r\n\r\ntwo\r\n--B--`
    expect(await failure(whole)).toBe('it was read')
    for (let length = 0; length < whole.length; length++)
      expect([length, await failure(whole.slice(0, length))]).toEqual([length, expect.stringContaining('broke off')])
  })

  test('made by the runtime itself is read', async () => {
    const data = new FormData()
    data.set('segment', JSON.stringify({ object_id: 'ä' }))
    data.set('file', new Blob(['bytes'], { type: 'video/mp2t' }), 'ein "Name".ts')
    const request = new Request('http://localhost/', { method: 'POST', body: data })
    const edge = formBoundary(request.headers.get('content-type')) ?? ''
    const parts = await readAll(await request.bytes(), edge)
    expect(parts.map(({ name, contentType }) => [name, contentType])).toEqual([
      ['segment', undefined],
      ['file', 'video/mp2t'],
    ])
    expect(Buffer.from(parts[0]?.bytes ?? '', 'latin1').toString('utf8')).toBe('{"object_id":"ä"}')
  })

  test('may have a short preamble, spaces behind its boundaries, parts without a type, and anything behind its end', async () => {
    const parts = await readAll(
      text(`hello\r\n--B \t\r\ncontent-disposition:form-data;name=a;filename=x\r\n\r\n1\r\n--B--tail\r\n--B`),
      'B',
    )
    expect(parts).toEqual([{ name: 'a', contentType: undefined, bytes: '1' }])
  })

  test('without any part is empty', async () => {
    expect(await readAll(text('--B--\r\n'), 'B')).toEqual([])
  })

  test.each([
    ['a part without headers', '--B\r\n\r\nbody\r\n--B--', 'without a name'],
    ['a part without a name', '--B\r\nContent-Disposition: form-data\r\n\r\nbody\r\n--B--', 'without a name'],
    ['a part of another kind', '--B\r\nContent-Disposition: attachment; name="a"\r\n\r\nbody\r\n--B--', 'without a name'],
    ['bytes behind a boundary', `--Bx\r\n${HEAD}"a"\r\n\r\nbody\r\n--B--`, 'behind a boundary'],
    ['endless headers', `--B\r\n${HEAD}"${'x'.repeat(20_000)}"\r\n\r\nbody\r\n--B--`, 'longer than 16384 bytes'],
    ['an endless boundary', `--B${' '.repeat(2000)}`, 'longer than 1024 bytes'],
    ['an endless preamble', 'x'.repeat(2000), 'does not begin with the boundary'],
  ])('with %s is refused', async (_, bytes, reason) => {
    expect(await failure(bytes)).toContain(reason)
    expect(await failure(bytes, 'B', Array(bytes.length).fill(1))).toContain(reason)
  })

  test('is read no further than it is asked for', async () => {
    const bytes = text(`--B\r\n${HEAD}"a"\r\n\r\n${'x'.repeat(10_000)}\r\n--B--`)
    const { stream, counted } = streamOf(bytes, Array(100).fill(100))
    const part = await readForm(stream, 'B').next()
    expect(counted.asked).toBe(1)
    const reader = part?.body.getReader()
    await reader?.read()
    expect(counted.asked).toBeLessThanOrEqual(2)
  })
})
