/**
 * The embedded media engine: the bytes of each object are one file below a directory, served by this program under signed URLs.
 * What keys become on disk: `layout.ts`. How a write is made durable: `write.ts`.
 *
 * Known gaps: one process writes below a root (another one may read, and delete what nobody uploads); empty date directories stay.
 */
export { type CloneOptions, createCloner } from './clone.ts'
export type { DiskFile, DiskFs } from './disk-fs.ts'
export { nodeFs } from './disk-fs.ts'
export type { OpenObject } from './read.ts'
export { createSpaceCheck } from './space.ts'
export { createDiskStore, type DiskStore, type DiskStoreOptions } from './store.ts'
export type { MediaMethod, Verification } from './urls.ts'
export type { DiskPutOptions } from './write.ts'
