import { TamsClient } from './client.ts'

/** What `withUrl` gives to a command. */
export interface ServiceFlags {
  readonly url: string
  readonly token?: string
}

export interface Connection {
  /** Without credentials, so that it can be shown. */
  readonly url: string
  /** Value of the `Authorization` header. */
  readonly authorization: string | undefined
}

/** Credentials in the URL (`https://name:password@…`, or `?access_token=` as a service hands it out) go before the token. */
export const connectionOf = ({ url: text, token }: ServiceFlags): Connection => {
  const url = new URL(text)
  const { username, password } = url
  const bearer = url.searchParams.get('access_token') ?? token
  url.username = ''
  url.password = ''
  url.search = ''
  url.hash = ''
  const isBasic = username !== '' || password !== ''
  const userPass = isBasic ? Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64') : ''
  return { url: url.href.replace(/\/+$/, ''), authorization: isBasic ? `Basic ${userPass}` : bearer ? `Bearer ${bearer}` : undefined }
}

export const connect = (flags: ServiceFlags): TamsClient => {
  const { url, authorization } = connectionOf(flags)
  return new TamsClient(url, authorization === undefined ? {} : { authorization })
}
