/** In how many parts a query is read: at a time from here, and inside the cluster. */
export interface Shares {
  readonly splits: number
  readonly subsplits: number
}

export const ONE_SHARE: Shares = { splits: 1, subsplits: 1 }
