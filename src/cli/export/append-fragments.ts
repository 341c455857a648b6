import { CliError } from '../cli-error.ts'
import { headerAt } from '../media/fmp4/boxes.ts'
import { readInit } from '../media/fmp4/init.ts'
import { FragmentRetimer } from '../media/fmp4/retime.ts'

const HEADER_LIMIT = 16
/** Boxes that speak of one object on its own: its times and offsets, which do not hold in the joined file. */
const LEFT_OUT = new Set(['styp', 'sidx', 'mfra', 'ftyp', 'moov'])

/** Puts media segments of fragmented MP4 behind their init segment into one file. */
export class FragmentAppender {
  private init: Uint8Array | undefined
  private retimer = new FragmentRetimer([])

  constructor(private readonly sink: Bun.FileSink) {}

  /** Before the segments that need it. The same once more, under whatever id, changes nothing; another one throws. */
  async begin(path: string): Promise<void> {
    const bytes = await Bun.file(path).bytes()
    if (this.init && Buffer.from(this.init).equals(bytes)) return
    if (this.init)
      throw new CliError('the segments have different init objects, which one file cannot hold: export the parts by --timerange')
    this.init = bytes
    this.retimer = new FragmentRetimer(readInit(bytes))
    this.sink.write(bytes)
    await this.sink.flush()
  }

  /** Copies the fragments of a file to the end, all times in them changed by `deltaNs`. Media data are streamed. */
  async append(path: string, deltaNs: bigint): Promise<void> {
    const file = Bun.file(path)
    for (let at = 0; at < file.size; ) {
      const header = await file.slice(at, at + HEADER_LIMIT).bytes()
      if (header.length < 8) throw new CliError(`no MP4: ${header.length} bytes behind the last box`)
      const { type, size } = headerAt(header, 0)
      if (at + size > file.size) throw new CliError(`no MP4: box ${type} has ${size} bytes, ${file.size - at} are left`)
      const box = file.slice(at, at + size)
      if (type === 'moof') {
        const moof = await box.bytes()
        this.retimer.retime(moof, deltaNs)
        this.sink.write(moof)
      } else if (!LEFT_OUT.has(type)) await this.copy(box)
      await this.sink.flush()
      at += size
    }
  }

  private async copy(part: Blob): Promise<void> {
    for await (const chunk of part.stream()) {
      this.sink.write(chunk)
      await this.sink.flush()
    }
  }
}
