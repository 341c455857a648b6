import { Elysia } from 'elysia'

/**
 * On every answer, errors too. Nothing is taken for another type than it says; and since a URL may hold an `access_token`, it is not
 * passed on to where an answer leads.
 */
export const securityHeaders = () =>
  new Elysia({ name: 'plugin.security-headers' }).onRequest(function secure({ set }) {
    set.headers['x-content-type-options'] = 'nosniff'
    set.headers['referrer-policy'] = 'no-referrer'
  })
