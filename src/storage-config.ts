import { readFile } from 'node:fs/promises'
import { type Static, Type } from '@sinclair/typebox'
import type { StorageBackend } from './domain/storage-backend.ts'
import { checker, TagSet, Uuid } from './domain/validate.ts'

/** One backend of `STORAGE_CONFIG`: what clients are told of it, and where its bytes lie. */
export interface BackendSettings {
  readonly info: StorageBackend
  /** A directory; relative ones are below the data directory. */
  readonly root: string
}

const Backend = Type.Object(
  {
    id: Uuid,
    type: Type.Literal('disk', { title: '"disk"' }),
    root: Type.String({ minLength: 1 }),
    label: Type.Optional(Type.String({ minLength: 1 })),
    provider: Type.String(),
    store_product: Type.String(),
    region: Type.Optional(Type.String()),
    availability_zone: Type.Optional(Type.String()),
    default_storage: Type.Optional(Type.Boolean()),
    tags: Type.Optional(TagSet),
  },
  { additionalProperties: false },
)
/** The file: `{"backends": […]}`. */
const StorageConfig = Type.Object({ backends: Type.Array(Backend, { minItems: 1 }) }, { additionalProperties: false })
const checkConfig = checker(StorageConfig)

/** Throws an Error that names the file and the member at fault. */
export const readStorageConfig = async (file: string): Promise<BackendSettings[]> => {
  try {
    const { backends } = checkConfig(JSON.parse(await readFile(file, 'utf8')), 'the file')
    refuseDuplicates(backends)
    return backends.map(({ type: _type, root, ...info }) => ({
      info: { store_type: 'http_object_store', ...info } as StorageBackend,
      root,
    }))
  } catch (cause) {
    throw new Error(`STORAGE_CONFIG: ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

const refuseDuplicates = (backends: readonly Static<typeof Backend>[]): void => {
  for (const member of ['id', 'label', 'root'] as const) {
    const values = backends.flatMap((backend) => backend[member] ?? [])
    const twice = values.find((value, index) => values.indexOf(value) !== index)
    if (twice !== undefined) throw new Error(`backends: ${member} ${JSON.stringify(twice)} is there twice`)
  }
  if (backends.filter((backend) => backend.default_storage).length > 1) throw new Error('backends: more than one has default_storage')
}
