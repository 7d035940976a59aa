import type { AuthorizationServer } from '../authorization-server/authorization-server.ts'
import type { ClientCredential } from '../authorization-server/client-auth/define.ts'
import { type IssuedToken, requestToken } from '../authorization-server/token-endpoint.ts'
import { type ClientOptions, createCredential, secretsOf, type TokenOptions } from './client.ts'
import type { TokenCache } from './token-cache/define.ts'

/** One kind of token that a route needs. Equal ones share their token, different ones never do. */
export interface TokenRequest {
  /** The configured name of the client. */
  readonly client: string
  /** The scope asked for. */
  readonly scopes: readonly string[]
  /** True if a narrower scope will not do. */
  readonly exactScope: boolean
  /** Which token endpoint it goes to, as far as that is known yet. */
  endpoint(): string
  readonly presentsCertificate: boolean
  /**
   * The keys of its token in the cache, the first one its own. They change with the credential, of which at most a second
   * may not be noticed unless it is read again for this.
   */
  keys(reading?: 'again'): readonly string[]
  /** Which client, as configured, with which secrets and keys, to the letter, sends it. */
  clientKey(reading?: 'again'): string
  /**
   * For a client that registers itself: resolves once it is known who it is, and is `undefined` where it is. Nothing else
   * here may be asked before.
   * @throws {GatewayError}
   */
  prepare?(): Promise<void> | undefined
  /** For such a client: what it was refused with may have been replaced, or is now. */
  renewRegistration?(): Promise<void>
  /** What is wrong with the files of the credential, while what they held before is still used. */
  credentialFault(): string | undefined
  /** Asks the authorization server. @throws {GatewayError} as `requestToken` does */
  send(): Promise<IssuedToken>
}

export interface TokenRequestContext {
  readonly name: string
  /** With its client_id: one that registers itself is another one once it has done so. */
  readonly client: ClientOptions
  readonly server: AuthorizationServer
  /** The route's own wishes win over the client's. */
  readonly token: Partial<TokenOptions>
  readonly cache: TokenCache
  /** The client's, if other routes share it. */
  readonly credential?: ClientCredential
}

/** Makes a token request ready, once for all the requests of a route. @throws {TypeError} for a client without client_id */
export function createTokenRequest(context: TokenRequestContext): TokenRequest {
  const { name, client, server, token, cache, credential = createCredential(context.client) } = context
  const { client_id: clientId } = client
  if (clientId === undefined) throw new TypeError(`the client ${name} has no client_id`)
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
  const canonical = (identity: string) =>
    JSON.stringify({
      grant: 'client_credentials',
      exactScope,
      server: server.identity,
      client: clientId,
      method: client.token_endpoint_auth_method,
      credential: identity,
      scopes: [...new Set(scopes)].sort(),
      audience: [...new Set(audience)].sort(),
      resource: [...new Set(resource)].sort(),
      params: [...params].sort(([one], [other]) => (one < other ? -1 : 1)),
    })
  const secrets = secretsOf(client)
  const readAgain = (reading?: 'again') => {
    if (reading) for (const secret of secrets) secret.read()
  }
  let keyed: { readonly identity: string; readonly keys: readonly string[] } | undefined
  return {
    client: name,
    scopes,
    exactScope,
    endpoint: () => server.known('token_endpoint', { certificate: credential.tls }) ?? server.identity,
    presentsCertificate: credential.tls !== undefined,
    // A changed secret must not go on with the token of the old one.
    keys(reading) {
      readAgain(reading)
      const identity = credential.identify()
      if (keyed?.identity !== identity) keyed = { identity, keys: cache.keysOf(canonical(identity)) }
      return keyed.keys
    },
    clientKey(reading) {
      readAgain(reading)
      const texts = secrets.map((secret) => secret.recent())
      return cache.keysOf(JSON.stringify({ server: server.identity, client, texts }))[0] ?? ''
    },
    credentialFault: () => credential.fault?.(),
    send: () => requestToken({ server, clientId, credential, parameters }),
  }
}
