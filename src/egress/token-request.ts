import type { AuthorizationServer } from '../authorization-server/authorization-server.ts'
import { type IssuedToken, requestToken } from '../authorization-server/token-endpoint.ts'
import { type ClientOptions, createCredential, type TokenOptions } from './client.ts'
import type { TokenCache } from './token-cache/define.ts'

/** One kind of token that a route needs. Equal ones share their token, different ones never do. */
export interface TokenRequest {
  /** The configured name of the client. */
  readonly client: string
  /** The scope asked for. */
  readonly scopes: readonly string[]
  /** True if a narrower scope will not do. */
  readonly exactScope: boolean
  /** The key of its token in the cache. It changes with the credential. */
  key(): string
  /** Asks the authorization server. @throws {GatewayError} as `requestToken` does */
  send(): Promise<IssuedToken>
}

export interface TokenRequestContext {
  readonly name: string
  readonly client: ClientOptions
  readonly server: AuthorizationServer
  /** The route's own wishes win over the client's. */
  readonly token: Partial<TokenOptions>
  readonly cache: TokenCache
}

/** Makes a token request ready, once for all the requests of a route. */
export function createTokenRequest({ name, client, server, token, cache }: TokenRequestContext): TokenRequest {
  const scopes = token.scopes ?? token.scope ?? client.scopes ?? client.scope ?? []
  const audience = token.audience ?? client.audience ?? []
  const resource = token.resource ?? client.resource ?? []
  const params = Object.entries({ ...client.token_params, ...token.params })
  const parameters: [string, string][] = [
    ...(scopes.length > 0 ? [['scope', scopes.join(' ')] as [string, string]] : []),
    ...audience.map((value): [string, string] => ['audience', value]),
    ...resource.map((value): [string, string] => ['resource', value]),
    ...params,
  ]
  const exactScope = client.scope_policy === 'exact'
  const credential = createCredential(client)
  const canonical = (identity: string) =>
    JSON.stringify({
      grant: 'client_credentials',
      exactScope,
      server: server.identity,
      client: client.client_id,
      method: client.token_endpoint_auth_method,
      credential: identity,
      scopes: [...new Set(scopes)].sort(),
      audience: [...new Set(audience)].sort(),
      resource: [...new Set(resource)].sort(),
      params: [...params].sort(([one], [other]) => (one < other ? -1 : 1)),
    })
  let keyed: { readonly identity: string; readonly key: string } | undefined
  return {
    client: name,
    scopes,
    exactScope,
    key() {
      // A changed secret must not go on with the token of the old one.
      const identity = credential.identify()
      if (keyed?.identity !== identity) keyed = { identity, key: cache.keyOf(canonical(identity)) }
      return keyed.key
    },
    send: () => requestToken({ server, clientId: client.client_id, credential, parameters }),
  }
}
