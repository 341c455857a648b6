import { Elysia } from 'elysia'
import { invalid } from '../../src/core/errors.ts'

/** Without a usable `Host` the runtime gives a relative URL, which nothing behind this can read (RFC 9110 7.2). */
export const honestHost = () =>
  new Elysia({ name: 'plugin.honest-host' }).onRequest(function refuseBadHost({ request }) {
    if (!URL.canParse(request.url)) throw invalid('host', 'the Host header names no host')
  })
