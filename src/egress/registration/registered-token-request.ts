import { GatewayError } from '../../base/errors.ts'
import { createTokenRequest, type TokenRequest, type TokenRequestContext } from '../token-request.ts'
import { scopesOf } from './client-metadata.ts'
import type { GrantedClient } from './granted-client.ts'
import type { Registrar } from './registrar.ts'

/**
 * The token request of a client that registers itself. It is another one, under other keys, whenever the client is: as if its
 * credential had been changed in a file.
 */
export function createRegisteredTokenRequest(
  context: Omit<TokenRequestContext, 'credential'>,
  registrar: Registrar,
): TokenRequest {
  let made: { readonly of: GrantedClient; readonly request: TokenRequest } | undefined
  const request = () => {
    const granted = registrar.current()
    if (made?.of !== granted) made = { of: granted, request: requestOf(context, granted) }
    return made.request
  }
  return {
    client: context.name,
    get scopes() {
      return request().scopes
    },
    exactScope: context.client.scope_policy === 'exact',
    get presentsCertificate() {
      return request().presentsCertificate
    },
    endpoint: () => request().endpoint(),
    keys: (reading) => request().keys(reading),
    clientKey: (reading) => request().clientKey(reading),
    credentialFault: () => request().credentialFault(),
    send: () => request().send(),
    prepare: registrar.prepare,
    renewRegistration: registrar.renew,
  }
}

/** Scope that the server did not grant to the client is not asked for: a server may refuse the whole request for it. */
function requestOf(context: Omit<TokenRequestContext, 'credential'>, granted: GrantedClient): TokenRequest {
  const { client, credential, dropped } = granted
  const { scopes: list, scope, ...token } = context.token
  const wished = list ?? scope
  const scopes = wished?.filter((value) => !dropped.includes(value))
  const request = createTokenRequest({
    ...context,
    client,
    credential,
    token: { ...token, ...(scopes && { scopes }) },
  })
  const asked = wished ?? scopesOf(context.client) ?? dropped
  const lacking = asked.filter((value) => dropped.includes(value))
  // Without any scope left, the server's default would be asked for, which nobody wanted.
  if (lacking.length === 0 || !(request.exactScope || request.scopes.length === 0)) return request
  const reason = `the scope granted to the registered client lacks ${lacking.join(' ')}`
  return { ...request, send: () => Promise.reject(new GatewayError('authorization_server_refused', { reason })) }
}
