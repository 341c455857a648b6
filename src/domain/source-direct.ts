import { randomUUID } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import { invalid, notFound, TamsError } from '../core/errors.ts'
import { and, eq } from '../core/predicate.ts'
import { isUuid, quote } from '../core/uuid.ts'
import type { WriteTx } from '../storage/tables.ts'
import { type BatchResult, batchItems, makeEach } from './batch.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { checkSize } from './document-size.ts'
import { FormatText } from './flow-schema.ts'
import { record } from './record.ts'
import { changeSource, createSource, findSource, type SourceDocument } from './source.ts'
import { checker, TagSet, Uuid } from './validate.ts'

/** A source as clients write it; members that the service manages are ignored. */
export const SourceBody = Type.Object({
  id: Uuid,
  format: FormatText,
  label: Type.Optional(Type.String()),
  description: Type.Optional(Type.String()),
  tags: Type.Optional(TagSet),
})
type SourceBody = Static<typeof SourceBody>
const checkBody = checker(SourceBody)

/** Sources made by clients, not by a flow: they outlive their last flow. An extension. */
export const directSourceUseCases = (deps: Deps) => {
  const { tables, clock } = deps
  const insert = async (tx: WriteTx, context: Context, body: SourceBody): Promise<SourceDocument> => {
    const nowUs = clock.nowUs()
    const { id, format, label = null, description = null, tags = {} } = body
    const event = await createSource(tx, context, nowUs, { id, format, label, description, tags, explicit: true })
    const source = event.event.source as SourceDocument
    checkSize('source', source)
    await record(tx, context, nowUs, [event], { action: 'source.create', entityType: 'source', entityId: id })
    return source
  }

  /** An absent `id` is made up. Throws `exists`, `invalid`. */
  const create = (context: Context, given: unknown): Promise<SourceDocument> => {
    const named = typeof given === 'object' && given !== null && !('id' in given) ? { ...given, id: randomUUID() } : given
    return tables.write(async (tx) => {
      const body = checkBody(named)
      await tx.lock([`source:${body.id}`])
      if (await tx.find('sources', [body.id, ''])) throw new TamsError('exists', `id: source ${body.id} is there already`, { field: 'id' })
      return insert(tx, context, body)
    })
  }

  return {
    create,

    createAll: (context: Context, body: unknown): Promise<BatchResult> =>
      makeEach(deps, context, batchItems(body), (item) => create(context, item)),

    /**
     * Creates (gives the source) or replaces (gives undefined) label, description and tags; absent members become unset. The format
     * is fixed once flows exist. Throws `not_found` for a path id that is no UUID, `invalid`.
     */
    put: (context: Context, id: string, parse: () => unknown): Promise<SourceDocument | undefined> =>
      tables.write(async (tx) => {
        if (!isUuid(id)) throw notFound(`Source ${id}`)
        await tx.lock([`source:${id}`])
        const existing = await findSource(tx, context, id)
        const body = checkBody(parse())
        if (body.id !== id) throw invalid('id', `${quote(body.id)} is not the id in the path, ${id}`)
        if (!existing) return insert(tx, context, body)
        if (
          body.format !== existing.format &&
          (await tx.count('flows', and(eq('source_id', id), eq('deletion_id', '')), { atMost: 1 })) > 0
        )
          throw invalid('format', `cannot change from ${existing.format} to ${body.format} while the source has flows`)
        const { format, label = null, description = null, tags = {} } = body
        await changeSource(tx, context, clock.nowUs(), existing, { format, label, description, tags }, 'source.update')
        return undefined
      }),
  }
}
