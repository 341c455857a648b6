import type { Listing, PageRequest } from '../domain/paging.ts'

/** All items of a listing of the domain. */
export const everyPage = async <T>(list: (page: PageRequest) => Promise<Listing<T>>): Promise<T[]> => {
  const items: T[] = []
  let page: string | undefined
  do {
    const found = await list({ limit: 1000, ...(page !== undefined && { page }) })
    items.push(...found.items)
    page = found.nextKey
  } while (page !== undefined)
  return items
}
