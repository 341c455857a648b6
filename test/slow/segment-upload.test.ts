import { expect, test } from 'bun:test'
import { measured } from '../support/measured-process.ts'

const MIB = 1024 * 1024
const SIZE = 1024 * MIB

/** Prints its port. */
const program = `
  import { openApp } from './test/support/app.ts'
  const app = await openApp({ settings: { strict: false } })
  console.log(String(app.listen()))
  const close = () => app.close()
`

test('1 GiB comes in as a form within 160 MiB of memory, and is what was sent', async () => {
  const service = measured(program)
  try {
    const url = `http://127.0.0.1:${await service.next()}`
    const [flowId, sourceId] = [crypto.randomUUID(), crypto.randomUUID()]
    const flow = {
      ...{ id: flowId, source_id: sourceId, format: 'urn:x-nmos:format:video', codec: 'video/h264', container: 'video/mp2t' },
      essence_parameters: { frame_width: 1920, frame_height: 1080, frame_rate: { numerator: 25, denominator: 1 } },
    }
    const json = { 'content-type': 'application/json' }
    expect((await fetch(`${url}/flows/${flowId}`, { method: 'PUT', body: JSON.stringify(flow), headers: json })).status).toBe(201)

    const before = await service.peak('reset')
    const sent = new Bun.CryptoHasher('md5')
    const block = new Uint8Array(MIB).map((_, index) => index % 251)
    const segment = JSON.stringify({ object_id: 'large', timerange: '[0:0_3600:0)' })
    const head = (name: string) =>
      `--edge\r\nContent-Disposition: form-data; name="${name}"; filename="x"\r\nContent-Type: video/mp2t\r\n\r\n`
    let written = -MIB
    const form = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (written < 0) controller.enqueue(Buffer.from(`${head('segment')}${segment}\r\n${head('file')}`))
        else if (written < SIZE) {
          sent.update(block)
          controller.enqueue(block)
        } else {
          controller.enqueue(Buffer.from('\r\n--edge--\r\n'))
          controller.close()
        }
        written += MIB
      },
    })
    const answer = await fetch(`${url}/flows/${flowId}/segments`, {
      method: 'POST',
      body: form,
      headers: { 'content-type': 'multipart/form-data; boundary=edge' },
    })
    expect([answer.status, await answer.text()]).toEqual([201, ''])
    const after = await service.peak('look')
    console.log(`memory before ${Math.round(before / MIB)} MiB, at most ${Math.round(after / MIB)} MiB`)
    expect(after - before).toBeLessThan(160 * MIB)

    const [stored] = (await (await fetch(`${url}/flows/${flowId}/segments`)).json()) as { get_urls: { url: string }[] }[]
    const bytes = await fetch(stored?.get_urls[0]?.url ?? '')
    expect(bytes.headers.get('content-length')).toBe(String(SIZE))
    expect(bytes.headers.get('etag')).toBe(`"${sent.digest('hex')}"`)
    await bytes.body?.cancel()
    expect(await service.end()).toBe(0)
  } finally {
    service.kill()
  }
}, 300_000)
