/**
 * The S3 media engine: one bucket of any S3 service, spoken to through the AWS SDK. Clients send and fetch bytes directly, by
 * signed URLs. What operators have to know: `docs/STORAGE.md`.
 *
 * Known gaps: keys with the path segments `.` or `..`, or above 1024 bytes, are refused (`keys.ts`); a signed upload cannot be
 * revoked; where a server ignores `If-None-Match`, two first writers of one key at the same moment are not told apart; bytes sent
 * by presigned URLs carry what checksum headers the client adds, and AWS takes only `Content-MD5` among the unsigned ones.
 */
export type { S3ClientOptions } from './client.ts'
export type { Finding } from './inspect.ts'
export { createS3Store, type S3Store, type S3StoreOptions } from './store.ts'
