import { expect, test } from 'bun:test'
import { streamUrl, summary } from '../../src/cli/commands/tail.ts'
import { followEvents } from '../../src/cli/event-stream.ts'

const flow = '4f79cfd1-c057-47f4-8e4d-1b126ca7bf34'
const message = (id: number) => `id: ${id}\nevent: flows/deleted\ndata: {"event_timestamp":"t","event":{"flow_id":"${flow}"}}\n\n`

test('a line has number, time, type, id and what there is to say', () => {
  const line = (event: object) => summary({ id: '7', type: 'x', data: JSON.stringify({ event_timestamp: 't', event }) })
  expect(line({ flow_id: flow })).toBe(`7  t  x  ${flow}`)
  expect(line({ flow: { id: flow, label: 'Stage' } })).toBe(`7  t  x  ${flow}  Stage`)
  expect(line({ flow_id: flow, segments: [{ timerange: '[0:0_1:0)' }] })).toBe(`7  t  x  ${flow}  [0:0_1:0)`)
  expect(line({ flow_id: flow, segments: [{ timerange: '[0:0_1:0)' }, {}] })).toEndWith('2 segments from [0:0_1:0)')
})

test('filters go into the query', () => {
  const url = new URL(streamUrl('http://tams.test/x/', { type: 'flows/created,flows/deleted', flow }))
  expect(url.pathname).toBe('/x/events/stream')
  expect(Object.fromEntries(url.searchParams)).toEqual({ accept_get_urls: '', type: 'flows/created,flows/deleted', flow_id: flow })
})

test('a connection that ends or fails is made again behind the last event, a block cut in half is not counted', async () => {
  const asked: (string | null)[] = []
  const answers = [
    () => new Response(`: beat\nid: 3\n\n${message(4)}${message(5).slice(0, 20)}`),
    () => new Response('busy', { status: 503 }),
    () => {
      throw new Error('connection refused')
    },
    () => new Response(message(5)),
  ]
  const ask = async (_: string, init?: RequestInit) => {
    asked.push(new Headers(init?.headers).get('last-event-id'))
    return answers[asked.length - 1]?.() ?? new Response('gone', { status: 404 })
  }
  const ids: string[] = []
  const all = async () => {
    for await (const { id } of followEvents('http://tams.test/events/stream', { fetch: ask, pause: async () => {} })) ids.push(id)
  }
  await expect(all()).rejects.toThrow('has no event stream')
  expect(ids).toEqual(['4', '5'])
  expect(asked).toEqual([null, '4', '4', '4', '5'])
})

test('a service that was never there is an error', async () => {
  const ask = () => Promise.reject(new Error('connection refused'))
  await expect(followEvents('http://tams.test/events/stream', { fetch: ask }).next()).rejects.toThrow('could not be reached')
})
