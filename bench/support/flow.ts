import type { Program } from './program.ts'

/** A flow with a container, so that it takes segments. Gives the answer's status. */
export const putFlow = async (program: Program, id: string): Promise<void> => {
  const response = await fetch(`${program.url}/flows/${id}`, { method: 'PUT', body: JSON.stringify(flowBody(id)), headers: JSON_HEADERS })
  if (response.status !== 201) throw new Error(`PUT of flow ${id} answered ${response.status}: ${await response.text()}`)
}

export const JSON_HEADERS = { 'content-type': 'application/json' }

export const SOURCE_ID = '2e9a4f6c-8f0e-4a53-9d3e-6f6a1c0b7d11'

export const flowBody = (id: string) => ({
  id,
  source_id: SOURCE_ID,
  format: 'urn:x-nmos:format:video',
  label: 'benchmark',
  codec: 'video/h264',
  container: 'video/mp2t',
  avg_bit_rate: 5000,
  tags: { quality: 'web' },
  essence_parameters: { frame_width: 1920, frame_height: 1080, frame_rate: { numerator: 25, denominator: 1 }, bit_depth: 8 },
})
