import type { Context } from '../../src/domain/context.ts'
import { seesEverything } from '../../src/domain/context.ts'
import { createDomain } from '../../src/domain/index.ts'
import type { Scope } from '../../src/domain/scope.ts'
import type { TestApp } from './app.ts'

export const PASSWORD = 'correct horse battery'

export const operator: Context = {
  principal: { name: 'operator' },
  visible: seesEverything,
  requestId: 'a request',
  baseUrl: 'http://localhost',
}

export const addUser = (app: TestApp, name: string, scopes: readonly Scope[], password = PASSWORD): Promise<unknown> =>
  createDomain(app.deps).users.create(operator, { name, password, scopes })

/** The secret of a new token. */
export const addToken = async (
  app: TestApp,
  scopes: readonly Scope[],
  more: { readonly user_name?: string; readonly expires?: string } = {},
) => createDomain(app.deps).tokens.create(operator, { name: `of ${scopes.join(' ')}`, scopes, ...more })

export const basic = (name: string, password = PASSWORD): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
})
export const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })
