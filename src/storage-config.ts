import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { type Static, Type } from '@sinclair/typebox'
import type { StorageBackend } from './domain/storage-backend.ts'
import { checker, TagSet, Uuid } from './domain/validate.ts'
import type { S3StoreOptions } from './storage/s3/index.ts'

/** One backend of `STORAGE_CONFIG`: what clients are told of it, and where its bytes lie. */
export type BackendSettings = DiskSettings | S3Settings

export interface DiskSettings {
  readonly type: 'disk'
  readonly info: StorageBackend
  /** A directory; relative ones are below the data directory. */
  readonly root: string
}

export interface S3Settings {
  readonly type: 's3'
  readonly info: StorageBackend
  readonly s3: Omit<S3StoreOptions, 'storageId' | 'clock'>
}

const described = {
  id: Uuid,
  label: Type.Optional(Type.String({ minLength: 1 })),
  provider: Type.String(),
  store_product: Type.String(),
  region: Type.Optional(Type.String()),
  availability_zone: Type.Optional(Type.String()),
  default_storage: Type.Optional(Type.Boolean()),
  tags: Type.Optional(TagSet),
}
const Disk = Type.Object({ ...described, type: Type.Literal('disk'), root: Type.String({ minLength: 1 }) }, { additionalProperties: false })
const HttpUrl = Type.String({ pattern: '^https?://[^/?#\\s]+(/[^?#\\s]*)?$', title: 'an http or https URL without a query' })
const S3 = Type.Object(
  {
    ...described,
    type: Type.Literal('s3'),
    bucket: Type.String({ pattern: '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$', title: 'the name of a bucket' }),
    /** Unset: AWS. */
    endpoint: Type.Optional(HttpUrl),
    /** What signatures name. Unset: on AWS `region`, elsewhere us-east-1. */
    s3_region: Type.Optional(Type.String({ minLength: 1 })),
    /** Unset: false on AWS, true elsewhere. */
    path_style: Type.Optional(Type.Boolean()),
    /** Unset: the default credential chain of the AWS SDK. */
    access_key_id: Type.Optional(Type.String({ minLength: 1 })),
    secret_access_key: Type.Optional(Type.String({ minLength: 1 })),
    server_side_encryption: Type.Optional(
      Type.Union([Type.Literal('AES256'), Type.Literal('aws:kms'), Type.Literal('aws:kms:dsse')], {
        title: 'AES256, aws:kms or aws:kms:dsse',
      }),
    ),
    /** Where URLs without a signature begin. */
    public_base_url: Type.Optional(HttpUrl),
    /** false: upload URLs do not ask for If-None-Match. */
    conditional_uploads: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)

/** The file: `{"backends": […]}`. Each backend is checked by the schema of its type: a union would not say which member is wrong. */
const checkFile = checker(
  Type.Object(
    {
      backends: Type.Array(
        Type.Object(
          { type: Type.Union([Type.Literal('disk'), Type.Literal('s3')], { title: '"disk" or "s3"' }) },
          { additionalProperties: true },
        ),
        { minItems: 1 },
      ),
    },
    { additionalProperties: false },
  ),
)
const checkDisk = checker(Disk)
const checkS3 = checker(S3)

/** Throws an Error that names the file and the member at fault. */
export const readStorageConfig = async (file: string): Promise<BackendSettings[]> => {
  try {
    const { backends } = checkFile(JSON.parse(await readFile(file, 'utf8')), 'the file')
    const settings = backends.map((backend, index) => {
      try {
        return backend.type === 's3' ? s3Settings(checkS3(backend, 'it')) : diskSettings(checkDisk(backend, 'it'))
      } catch (cause) {
        throw new Error(`backends[${index}]: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
      }
    })
    refuseDuplicates(settings)
    return settings
  } catch (cause) {
    throw new Error(`STORAGE_CONFIG: ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

export const isAws = (endpoint: string): boolean => /\.amazonaws\.com(\.cn)?$/.test(new URL(endpoint).hostname)

const diskSettings = ({ type, root, ...info }: Static<typeof Disk>): DiskSettings => ({ type, info: infoOf(info), root })

const s3Settings = (backend: Static<typeof S3>): S3Settings => {
  const { type, bucket, endpoint: given, s3_region, path_style, access_key_id, secret_access_key, ...others } = backend
  const { server_side_encryption, public_base_url, conditional_uploads, ...info } = others
  if ((access_key_id === undefined) !== (secret_access_key === undefined))
    throw new Error('access_key_id and secret_access_key: expected both or none')
  const region = s3_region ?? (given === undefined || isAws(given) ? info.region : undefined) ?? 'us-east-1'
  const endpoint = given ?? `https://s3.${region}.amazonaws.com`
  return {
    type,
    info: infoOf(info),
    s3: {
      bucket,
      endpoint,
      region,
      pathStyle: path_style ?? !isAws(endpoint),
      accessKeyId: access_key_id,
      secretAccessKey: secret_access_key,
      serverSideEncryption: server_side_encryption,
      publicBaseUrl: public_base_url,
      conditionalUploads: conditional_uploads,
    },
  }
}

const infoOf = (info: Omit<Static<typeof Disk>, 'type' | 'root'>): StorageBackend =>
  ({ store_type: 'http_object_store', ...info }) as StorageBackend

const refuseDuplicates = (settings: readonly BackendSettings[]): void => {
  const members = {
    id: settings.map(({ info }) => info.id),
    label: settings.flatMap(({ info }) => info.label ?? []),
    root: settings.flatMap((each) => (each.type === 'disk' ? [path.resolve(each.root)] : [])),
    bucket: settings.flatMap((each) => (each.type === 's3' ? [`${each.s3.endpoint} ${each.s3.bucket}`] : [])),
  }
  for (const [member, values] of Object.entries(members)) {
    const twice = values.find((value, index) => values.indexOf(value) !== index)
    if (twice !== undefined) throw new Error(`backends: ${member} ${JSON.stringify(twice)} is there twice`)
  }
  if (settings.filter(({ info }) => info.default_storage).length > 1) throw new Error('backends: more than one has default_storage')
}
