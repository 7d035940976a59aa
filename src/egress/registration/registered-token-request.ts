import { GatewayError } from '../../base/errors.ts'
import {
  createTokenRequests,
  type Subject,
  type TokenRequest,
  type TokenRequestContext,
  type TokenRequests,
} from '../token-request.ts'
import { scopesOf } from './client-metadata.ts'
import type { GrantedClient } from './granted-client.ts'
import type { Registrar } from './registrar.ts'

/**
 * The token requests of a client that registers itself. They are other ones, under other keys, whenever the client is: as if
 * its credential had been changed in a file.
 */
export function createRegisteredTokenRequests(
  context: Omit<TokenRequestContext, 'credential'>,
  registrar: Registrar,
): TokenRequests {
  let made: { readonly of: GrantedClient; readonly requests: TokenRequests } | undefined
  const requests = () => {
    const granted = registrar.current()
    if (made?.of !== granted) made = { of: granted, requests: requestsOf(context, granted) }
    return made.requests
  }
  return (subject) => registeredRequest(context, registrar, { requests, subject })
}

function registeredRequest(
  { name, client }: Omit<TokenRequestContext, 'credential'>,
  registrar: Registrar,
  { requests, subject }: { readonly requests: () => TokenRequests; readonly subject: Subject | undefined },
): TokenRequest {
  let made: { readonly of: TokenRequests; readonly request: TokenRequest } | undefined
  const request = () => {
    const current = requests()
    if (made?.of !== current) made = { of: current, request: current(subject) }
    return made.request
  }
  return {
    client: name,
    get scopes() {
      return request().scopes
    },
    exactScope: client.scope_policy === 'exact',
    get presentsCertificate() {
      return request().presentsCertificate
    },
    endsAt: subject?.expiresAt,
    endpoint: () => request().endpoint(),
    keys: (reading) => request().keys(reading),
    kindKey: () => request().kindKey(),
    clientKey: (reading) => request().clientKey(reading),
    credentialFault: () => request().credentialFault(),
    send: () => request().send(),
    prepare: registrar.prepare,
    renewRegistration: registrar.renew,
  }
}

/** Scope that the server did not grant to the client is not asked for: a server may refuse the whole request for it. */
function requestsOf(context: Omit<TokenRequestContext, 'credential'>, granted: GrantedClient): TokenRequests {
  const { client, credential, dropped } = granted
  const { scopes: list, scope, ...token } = context.token
  const wished = list ?? scope
  const scopes = wished?.filter((value) => !dropped.includes(value))
  const requests = createTokenRequests({
    ...context,
    client,
    credential,
    token: { ...token, ...(scopes && { scopes }) },
  })
  const asked = wished ?? scopesOf(context.client) ?? dropped
  const lacking = asked.filter((value) => dropped.includes(value))
  // Without any scope left, the server's default would be asked for, which nobody wanted.
  const { exactScope, scopes: left } = requests()
  if (lacking.length === 0 || !(exactScope || left.length === 0)) return requests
  const reason = `the scope granted to the registered client lacks ${lacking.join(' ')}`
  const send = () => Promise.reject(new GatewayError('authorization_server_refused', { reason }))
  return (subject) => ({ ...requests(subject), send })
}
