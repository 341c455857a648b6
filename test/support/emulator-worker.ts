// The VAST emulator in a thread of its own, beside the tests; it tells its address and ends with the process.
import { startEmulator } from '../emulators/vast/index.ts'

declare const self: Worker

// Signatures have a date, and tests set the clock of their own thread.
const { url } = await startEmulator({ buckets: ['tests'], credentials: null })
self.postMessage(url)
