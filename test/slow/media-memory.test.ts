import { expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { measured } from '../support/measured-process.ts'

const MIB = 1024 * 1024
const size = 256 * MIB

/** Prints the URLs of an object. */
const program = `
  import { mediaServer, storageId } from './test/storage/disk/media-server.ts'
  const server = await mediaServer()
  const urls = { baseUrl: server.baseUrl, contentType: 'video/mp2t', expiresInSeconds: 600 }
  const { url: put } = await server.store.uploadUrl('tams/2026/11/21/large', urls)
  console.log(JSON.stringify({ put, get: server.store.downloadUrl('tams/2026/11/21/large', urls) }))
  const close = () => server.close()
`

test('256 MiB go in and out, whole and in ranges, within 48 MiB of memory', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'tams-memory-'))
  const server = measured(program)
  try {
    const { put, get } = JSON.parse(await server.next()) as { put: string; get: string }
    const large = path.join(directory, 'large')
    const block = new Uint8Array(MIB).map((_, index) => index % 251)
    const sink = Bun.file(large).writer()
    for (let written = 0; written < size; written += MIB) sink.write(block)
    await sink.end()

    const before = await server.peak('reset')
    const uploaded = await fetch(put, { method: 'PUT', headers: { 'content-type': 'video/mp2t' }, body: Bun.file(large) })
    expect(uploaded.status).toBe(200)
    const expected = `"${await md5Of(Bun.file(large).stream())}"`
    expect(uploaded.headers.get('etag')).toBe(expected)
    for (const headers of [{}, { range: 'bytes=0-' }, { range: 'bytes=x' }]) {
      expect(`"${await md5Of((await fetch(get, { headers })).body)}"`).toBe(expected)
    }
    const parts = await fetch(get, { headers: { range: `bytes=0-${size / 2 - 1},${size / 2}-` } })
    expect(await lengthOf(parts.body)).toBeGreaterThan(size)
    // A reader that stops must not make the server read on.
    const stalled = (await fetch(get, { headers: { range: 'bytes=x' } })).body?.getReader()
    await stalled?.read()
    const after = await server.peak('look')
    await stalled?.cancel()
    console.log(`memory before ${Math.round(before / MIB)} MiB, at most ${Math.round(after / MIB)} MiB`)
    expect(after - before).toBeLessThan(48 * MIB)
    expect(await server.end()).toBe(0)
  } finally {
    server.kill()
    await rm(directory, { recursive: true })
  }
})

const md5Of = async (body: ReadableStream<Uint8Array> | null): Promise<string> => {
  const hash = new Bun.CryptoHasher('md5')
  for await (const chunk of body ?? []) hash.update(chunk)
  return hash.digest('hex')
}

const lengthOf = async (body: ReadableStream<Uint8Array> | null): Promise<number> => {
  let length = 0
  for await (const chunk of body ?? []) length += chunk.length
  return length
}
