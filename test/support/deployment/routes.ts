import { openApp } from '../app.ts'
import { members } from './repository.ts'

/** The paths of the API, as /openapi.json writes them. */
export const documentedPaths = async (): Promise<readonly string[]> => {
  const app = await openApp({ settings: { strict: false } })
  try {
    const document: unknown = await (await app.fetch('/openapi.json')).json()
    return Object.keys(members(document, 'paths'))
  } finally {
    await app.close()
  }
}
