import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CliError } from '../cli-error.ts'
import type { TamsClient } from '../client.ts'
import type { Flow } from '../tams-types.ts'

export interface InitObjectOptions {
  /** Ids of the init objects of the flow's segments. */
  readonly known: ReadonlySet<string>
  /** For files. */
  readonly dir: string
}

/**
 * The id of the object that holds the init segment `bytes` of a flow: one that its segments refer to already where that has the same
 * bytes, else a new one, uploaded. Its content type is the flow's container; the first segment that refers to it registers it.
 */
export const storeInitObject = async (
  client: TamsClient,
  flow: Flow,
  bytes: Uint8Array,
  { known, dir }: InitObjectOptions,
): Promise<string> => {
  const path = join(dir, 'init.mp4')
  for (const id of known) {
    const object = await client.findObject(id)
    if (!object) continue
    const urls = (object.get_urls ?? []).map(({ url }) => url)
    await client.download(id, urls, path)
    const stored = await Bun.file(path).bytes()
    await rm(path)
    if (Buffer.from(stored).equals(bytes)) return id
  }
  const [place] = await client.allocate(flow.id, 1)
  if (!place) throw new CliError(`the service gave no storage for the init object of flow ${flow.id}`)
  await Bun.write(path, bytes)
  await client.upload(place, path)
  await rm(path)
  return place.object_id
}
