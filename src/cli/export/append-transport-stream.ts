import { nsToTicks, PACKET_SIZE, Retimer } from '../media/mpegts.ts'

/** Puts transport streams behind each other into one file. */
export class TransportStreamAppender {
  private readonly retimer = new Retimer()

  constructor(private readonly sink: Bun.FileSink) {}

  /** Copies a file to the end, all times in it changed by `deltaNs`. */
  async append(path: string, deltaNs: bigint): Promise<void> {
    const delta = nsToTicks(deltaNs)
    let rest: Uint8Array = new Uint8Array(0)
    for await (const chunk of Bun.file(path).stream()) {
      const bytes = rest.length === 0 ? chunk.slice() : Buffer.concat([rest, chunk])
      const whole = bytes.length - (bytes.length % PACKET_SIZE)
      rest = bytes.slice(whole)
      const packets = bytes.subarray(0, whole)
      this.retimer.retime(packets, delta)
      this.sink.write(packets)
      await this.sink.flush()
    }
    if (rest.length > 0) this.sink.write(rest)
    this.retimer.nextObject()
  }
}
