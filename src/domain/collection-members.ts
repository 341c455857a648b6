import { invalid } from '../core/errors.ts'
import type { Member } from './collections.ts'
import { nextKey, type PageRequest, pageValues } from './paging.ts'

/** Members that are there take over what is new of `added`; the others follow them. Throws `invalid` for one that is added twice. */
export const mergeMembers = <M extends Member>(members: readonly M[], added: readonly M[]): M[] => {
  const byId = new Map(members.map((member) => [member.id, member]))
  for (const [index, member] of added.entries()) {
    if (added.findIndex(({ id }) => id === member.id) < index) throw invalid(`members[${index}].id`, `${member.id} is there twice`)
    byId.set(member.id, { ...byId.get(member.id), ...member })
  }
  return [...byId.values()]
}

export const noMembers = () => invalid('members', 'is empty: a collection has members')

/** Ids of the members on a page, in their order. The key is the last one's id, and its place in case that it leaves the collection. */
export const pageOfMembers = (
  scope: string,
  members: readonly Member[],
  page: PageRequest,
  limit: number,
): { readonly ids: readonly string[]; readonly nextKey?: string } => {
  const [lastId, lastPlace] = pageValues(scope, page, 2) ?? []
  const place = members.findIndex(({ id }) => id === lastId)
  const start = lastId === undefined ? 0 : place >= 0 ? place + 1 : Number(lastPlace)
  const ids = members.slice(start, start + limit).map(({ id }) => id)
  const end = start + ids.length
  return { ids, ...nextKey(scope, end < members.length ? [ids.at(-1) ?? '', end - 1] : undefined) }
}
