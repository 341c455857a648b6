// The VAST emulator in a thread of its own, beside the tests; it tells its address and ends with the process.
import { startEmulator } from '../emulators/vast/index.ts'

declare const self: Worker

const { url } = await startEmulator({ buckets: ['tests'] })
self.postMessage(url)
