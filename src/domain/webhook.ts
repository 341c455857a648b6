import { randomUUID } from 'node:crypto'
import { invalid, notFound, TamsError } from '../core/errors.ts'
import { and, eq, type Predicate } from '../core/predicate.ts'
import { prefixBytes } from '../core/text-order.ts'
import { isUuid, quote } from '../core/uuid.ts'
import type { Row } from '../storage/schema.ts'
import type { Order, ReadTx, WriteTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { lastSeq, seqBefore } from './event-log.ts'
import { effectiveLimit, type Listing, nextKey, type PageRequest, pageValues } from './paging.ts'
import { record } from './record.ts'
import { parseTags, type TagFilter, tagPredicates, writeTags } from './tags.ts'
import { checker } from './validate.ts'
import { SETTINGS_MEMBERS, type Webhook, WebhookPost, WebhookPut, type WebhookSettings, type WebhookStatus } from './webhook-schema.ts'
import { newSecret, rotated, type SigningSecrets } from './webhook-secret.ts'
import { checkWebhookUrl } from './webhook-url.ts'

export type WebhookRow = Row<'webhooks'>

const checkPost = checker(WebhookPost)
const checkPut = checker(WebhookPut)

/** More than one owner can use, few enough that the delivery of others is not drowned. */
const MAX_PER_OWNER = 1000
const SCOPE = 'webhooks'

export const parseSettings = (row: Pick<WebhookRow, 'settings'>): WebhookSettings => JSON.parse(row.settings) as WebhookSettings
export const parseSecrets = (row: Pick<WebhookRow, 'signing_secrets'>): SigningSecrets =>
  row.signing_secrets === null ? { current: newSecret() } : (JSON.parse(row.signing_secrets) as SigningSecrets)

const document = (row: WebhookRow): Webhook => ({
  id: row.id,
  url: row.url,
  ...(row.api_key_name !== null && { api_key_name: row.api_key_name }),
  ...parseSettings(row),
  tags: parseTags(row.tags) as Record<string, string | string[]>,
  status: row.status as WebhookStatus,
  ...(row.error !== null && { error: JSON.parse(row.error) as NonNullable<Webhook['error']> }),
})

const settingsOf = (body: WebhookPost | WebhookPut): string =>
  JSON.stringify(Object.fromEntries(SETTINGS_MEMBERS.filter((name) => body[name] !== undefined).map((name) => [name, body[name]])))

const visible = (context: Context): Predicate => context.visible.webhooks

/** Throws `not_found`, also for what the principal may not see. */
export const getWebhook = async (tx: ReadTx, context: Context, id: string): Promise<WebhookRow> => {
  const found = isUuid(id) ? await tx.list('webhooks', { where: and(eq('id', id), visible(context)), limit: 1 }) : undefined
  const row = found?.rows[0]
  if (!row) throw notFound(`Webhook ${id}`)
  return row
}

const byUrl = (direction: 'asc' | 'desc'): Order<'webhooks'>[] => [
  { column: 'url_sort', direction },
  { column: 'id', direction },
]

export const webhookUseCases = ({ tables, clock, settings }: Deps) => {
  const change = <T>(
    context: Context,
    id: string,
    action: string,
    make: (tx: WriteTx, row: WebhookRow, nowUs: bigint) => Promise<T>,
  ): Promise<T> =>
    tables.write(async (tx) => {
      await tx.lock([`webhook:${id}`])
      const nowUs = clock.nowUs()
      const result = await make(tx, await getWebhook(tx, context, id), nowUs)
      await record(tx, context, nowUs, [], { action, entityType: 'webhook', entityId: id })
      return result
    })

  return {
    /** By URL (its first 64 bytes, then id). */
    list: (context: Context, tags: readonly TagFilter[], page: PageRequest): Promise<Listing<Webhook>> =>
      tables.read(async (tx) => {
        const limit = effectiveLimit(page, settings)
        const after = pageValues(SCOPE, page, 2)
        const where = and(visible(context), ...tagPredicates('webhook', tags))
        const found = await tx.list('webhooks', { where, orderBy: byUrl(page.reverse ? 'desc' : 'asc'), limit, ...(after && { after }) })
        return { items: found.rows.map(document), limit, ...nextKey(SCOPE, found.after) }
      }),

    /** Throws `not_found`, as all calls for one webhook do. */
    get: (context: Context, id: string): Promise<Webhook> => tables.read(async (tx) => document(await getWebhook(tx, context, id))),

    /** Two with the same URL are two webhooks. Events from now on are delivered. Throws `invalid`. */
    create: (context: Context, body: () => unknown): Promise<Webhook> =>
      tables.write(async (tx) => {
        const post = checkPost(body())
        checkWebhookUrl(post.url, settings.webhookAllowedHosts)
        const owner = context.principal.name
        await tx.lock([`webhooks of ${owner}`])
        if ((await tx.count('webhooks', eq('owner', owner), { atMost: MAX_PER_OWNER })) >= MAX_PER_OWNER)
          throw new TamsError('invalid', `body: ${owner} has ${MAX_PER_OWNER} webhooks already`, { field: 'body' })
        const nowUs = clock.nowUs()
        const row: WebhookRow = {
          id: randomUUID(),
          url: post.url,
          url_sort: prefixBytes(post.url, 64),
          status: post.status ?? 'created',
          owner,
          settings: settingsOf(post),
          tags: JSON.stringify(post.tags ?? {}),
          api_key_name: post.api_key_name ?? null,
          api_key_value: post.api_key_value ?? null,
          signing_secrets: JSON.stringify({ current: newSecret() } satisfies SigningSecrets),
          error: null,
          created: nowUs,
          updated: nowUs,
        }
        await tx.lock([`webhook:${row.id}`])
        await tx.insert('webhooks', [row])
        await tx.insert('webhook_cursors', [{ webhook_id: row.id, position: await lastSeq(tx), attempts: 0, next_attempt: 0n }])
        await writeTags(tx, 'webhook', row.id, {}, post.tags ?? {})
        await record(tx, context, nowUs, [], {
          action: 'webhook.create',
          entityType: 'webhook',
          entityId: row.id,
          detail: { url: post.url },
        })
        return document(row)
      }),

    /** Full replacement; without `api_key_value` the stored one stays where the name is the same (tams-behaviour.md 10.3). */
    put: (context: Context, id: string, body: () => unknown): Promise<Webhook> =>
      tables.write(async (tx) => {
        await tx.lock([`webhook:${id}`])
        const before = await getWebhook(tx, context, id)
        const put = checkPut(body())
        if (put.id !== id) throw invalid('id', `${quote(put.id)} is not the id in the path, ${id}`)
        checkWebhookUrl(put.url, settings.webhookAllowedHosts)
        if (put.status === 'disabled' && before.status === 'error')
          throw invalid('status', 'a webhook in error can only be enabled again, by created')
        const nowUs = clock.nowUs()
        const keepsKey = put.api_key_value === undefined && (put.api_key_name ?? null) === before.api_key_name
        const set: Partial<WebhookRow> = {
          url: put.url,
          url_sort: prefixBytes(put.url, 64),
          // Every edit of an active webhook sends `created`: it goes on as it was.
          status: put.status === 'created' && before.status === 'started' ? 'started' : put.status,
          settings: settingsOf(put),
          tags: JSON.stringify(put.tags ?? {}),
          api_key_name: put.api_key_name ?? null,
          api_key_value: keepsKey ? before.api_key_value : (put.api_key_value ?? null),
          error: null,
          updated: nowUs,
        }
        await tx.update('webhooks', eq('id', id), set)
        if (put.status === 'created') await tx.update('webhook_cursors', eq('webhook_id', id), { attempts: 0, next_attempt: 0n })
        // What happened while it was disabled is not sent.
        if (put.status === 'created' && before.status === 'disabled')
          await tx.update('webhook_cursors', eq('webhook_id', id), { position: await lastSeq(tx) })
        await writeTags(tx, 'webhook', id, parseTags(before.tags), put.tags ?? {})
        await record(tx, context, nowUs, [], { action: 'webhook.update', entityType: 'webhook', entityId: id })
        return document({ ...before, ...set })
      }),

    delete: (context: Context, id: string): Promise<void> =>
      tables.write(async (tx) => {
        await tx.lock([`webhook:${id}`])
        const row = await getWebhook(tx, context, id)
        await writeTags(tx, 'webhook', id, parseTags(row.tags), {})
        await tx.delete('webhooks', eq('id', id))
        await tx.delete('webhook_cursors', eq('webhook_id', id))
        await tx.delete('deliveries', eq('webhook_id', id))
        await record(tx, context, clock.nowUs(), [], { action: 'webhook.delete', entityType: 'webhook', entityId: id })
      }),

    /** What receivers verify deliveries with. */
    signingSecret: (context: Context, id: string): Promise<{ readonly secret: string }> =>
      tables.read(async (tx) => ({ secret: parseSecrets(await getWebhook(tx, context, id)).current })),

    /** A new secret; the former one signs as well for a day. */
    rotateSecret: (context: Context, id: string): Promise<{ readonly secret: string }> =>
      change(context, id, 'webhook.secret.rotate', async (tx, row, nowUs) => {
        const secrets = rotated(parseSecrets(row), nowUs)
        await tx.update('webhooks', eq('id', id), { signing_secrets: JSON.stringify(secrets), updated: nowUs })
        return { secret: secrets.current }
      }),

    /** Stored events since then are sent again, behind those that wait already. Gives how many events are to be looked through. */
    replay: (context: Context, id: string, since: () => bigint): Promise<{ readonly events: number }> =>
      change(context, id, 'webhook.replay', async (tx, row, nowUs) => {
        if (row.status === 'disabled' || row.status === 'error')
          throw new TamsError('conflict', `Webhook ${id} has the status ${row.status}: enable it first`)
        const position = await seqBefore(tx, since())
        await tx.update('webhook_cursors', eq('webhook_id', id), { position, attempts: 0, next_attempt: 0n })
        await tx.update('webhooks', eq('id', id), { updated: nowUs })
        return { events: Number((await lastSeq(tx)) - position) }
      }),
  }
}
