import { invalid } from '../core/errors.ts'
import { quote } from '../core/uuid.ts'
import { FORMATS, formatList, isFormat, TECHNICAL_MEMBERS, Technical, type TechnicalMetadata } from './flow-schema.ts'
import { type Check, checker } from './validate.ts'

const checks = new Map<string, Check<unknown>>(Object.entries(Technical).map(([format, schema]) => [format, checker(schema)]))

/**
 * The technical metadata of a flow or profile body. The schema is picked by `format` first, so that the error names the member
 * that is wrong; then the rules of the prose (tams-behaviour.md 5.1). Throws `invalid`.
 */
export const parseTechnical = (body: object, root: string): TechnicalMetadata => {
  const input = body as Record<string, unknown>
  const prefix = root === 'body' ? '' : `${root}.`
  if (input.format === undefined) throw invalid(`${prefix}format`, 'is required')
  if (!isFormat(input.format)) throw invalid(`${prefix}format`, `${quote(input.format)} is not one of ${formatList.join(', ')}`)
  const technical = Object.fromEntries(TECHNICAL_MEMBERS.filter((name) => input[name] !== undefined).map((name) => [name, input[name]]))
  try {
    checks.get(input.format)?.(technical, root)
  } catch (error) {
    throw prefix && error instanceof Error && 'field' in error ? invalid(root, error.message, error) : error
  }
  const metadata = technical as unknown as TechnicalMetadata
  checkProse(metadata, `${prefix}essence_parameters`)
  return metadata
}

const UNCOMPRESSED = ['video/raw', 'audio/x-raw-int', 'audio/x-raw-float']
const YUV_TYPES = ['YUYV', 'UYVY', 'AYUV', 'v210', 'v216']

const checkProse = (metadata: TechnicalMetadata, at: string): void => {
  const essence = metadata.essence_parameters ?? {}
  if (metadata.format === FORMATS.video) checkFrameRate(essence, at)
  const uncompressed = essence.unc_parameters as { unc_type: string } | undefined
  if (uncompressed && YUV_TYPES.includes(uncompressed.unc_type))
    for (const name of ['horiz_chroma_subs', 'vert_chroma_subs'])
      if (essence[name] === undefined) throw invalid(`${at}.${name}`, `is required for the type ${uncompressed.unc_type}`)
  const codec = metadata.codec ?? ''
  if (!UNCOMPRESSED.includes(codec)) return
  if (essence.bit_depth === undefined) throw invalid(`${at}.bit_depth`, `is required for ${codec}`)
  if (codec === 'audio/x-raw-float') {
    if (essence.bit_depth !== 32 && essence.bit_depth !== 64) throw invalid(`${at}.bit_depth`, `is 32 or 64 for ${codec}`)
    return
  }
  if (!uncompressed) throw invalid(`${at}.unc_parameters`, `is required for ${codec}`)
}

const checkFrameRate = (essence: Readonly<Record<string, unknown>>, at: string): void => {
  if (essence.vfr === true && essence.frame_rate !== undefined)
    throw invalid(`${at}.frame_rate`, 'has no meaning for a variable frame rate (vfr: true)')
  if (essence.vfr !== true && essence.frame_rate === undefined) throw invalid(`${at}.frame_rate`, 'is required unless vfr is true')
}
