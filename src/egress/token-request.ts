import { hash } from 'node:crypto'
import type { AuthorizationServer } from '../authorization-server/authorization-server.ts'
import { clientCredentials } from '../authorization-server/grants/client-credentials.ts'
import type { Grant } from '../authorization-server/grants/define.ts'
import { tokenExchange, tokenTypes } from '../authorization-server/grants/token-exchange.ts'
import { type IssuedToken, requestToken } from '../authorization-server/token-endpoint.ts'
import { TokenRefusal } from '../authorization-server/token-refusal.ts'
import { type BoundedMap, createBoundedMap } from '../base/bounded-map.ts'
import { GatewayError } from '../base/errors.ts'
import { type ClientOptions, type Credential, createCredential, secretsOf, type TokenOptions } from './client.ts'
import type { TokenCache } from './token-cache/define.ts'

/** One token that a route needs. Equal ones share their token, different ones never do. */
export interface TokenRequest {
  /** The configured name of the client. */
  readonly client: string
  /** The scope asked for. */
  readonly scopes: readonly string[]
  /** True if a narrower scope will not do. */
  readonly exactScope: boolean
  /**
   * Given where a caller's token is exchanged: when that is good no more, and with it what came for it. Milliseconds since
   * the epoch.
   */
  readonly endsAt: number | undefined
  /** Which token endpoint it goes to, as far as that is known yet. */
  endpoint(): string
  readonly presentsCertificate: boolean
  /**
   * The keys of its token in the cache, the first one its own. They change with the credential, of which at most a second
   * may not be noticed unless it is read again for this.
   */
  keys(reading?: 'again'): readonly string[]
  /** The key of all that differ from it in nothing but whose token is exchanged; its own where none is. */
  kindKey(): string
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
  /** Asks the authorization server. @throws {GatewayError} as `requestToken` does, and `invalid_token` for a caller's token */
  send(): Promise<IssuedToken>
}

/** The token of a caller, verified. */
export interface Subject {
  readonly token: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** Tokens that callers' tokens are exchanged for. */
export interface TokenExchange {
  /** The request for the token of one caller: nobody else's request has its keys. */
  requestFor(subject: Subject): TokenRequest
}

/** Two of a kind: callers, however many tokens they exchange, push nothing out that is everybody's. */
export function apart<Part>(create: () => Part): Apart<Part> {
  const [everybodys, callers] = [create(), create()]
  const pick = ({ endsAt }: TokenRequest) => (endsAt === undefined ? everybodys : callers)
  return Object.assign(pick, { both: [everybodys, callers] })
}

interface Apart<Part> {
  /** The one that the request belongs to. */
  (request: TokenRequest): Part
  readonly both: readonly Part[]
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
  readonly credential?: Credential
}

/** Makes a token request ready, once for all the requests of a route. @throws {TypeError} for a client without client_id */
export function createTokenRequest(context: TokenRequestContext): TokenRequest {
  return createTokenRequests(context)()
}

/** The token requests of a route: one for each caller whose token is exchanged, and without a caller the one for all. */
export type TokenRequests = (subject?: Subject) => TokenRequest

/**
 * Makes the token requests of a route ready: all that does not depend on the caller is done once.
 * @throws {TypeError} for a client without client_id
 * @see https://www.rfc-editor.org/rfc/rfc8693
 */
export function createTokenRequests(context: TokenRequestContext): TokenRequests {
  const { name, client, server, token, credential = createCredential(context.client) } = context
  const { client_id: clientId } = client
  if (clientId === undefined) throw new TypeError(`the client ${name} has no client_id`)
  const { scopes, parameters, canonical } = wishesOf(context, credential)
  const keysOf = rememberKeys(context.cache, canonical)
  const subjectType = subjectTypeOf(token)
  const requestedType = parameters.findLast(([parameter]) => parameter === 'requested_token_type')?.[1]
  const own = credential.assertion?.grant(scopes) ?? clientCredentials
  const secrets = secretsOf(client)
  const readAgain = (reading?: 'again') => {
    if (reading) for (const secret of secrets) secret.read()
  }
  const sendBy = (grant: Grant) => requestToken({ server, clientId, credential, grant, parameters })
  const common = {
    client: name,
    scopes,
    exactScope: client.scope_policy === 'exact',
    endpoint: () => server.known('token_endpoint', { certificate: credential.tls }) ?? server.identity,
    presentsCertificate: credential.tls !== undefined,
    kindKey: () => keysOf(credential.identify())[0] ?? '',
    clientKey(reading?: 'again') {
      readAgain(reading)
      const texts = secrets.map((secret) => secret.recent())
      return context.cache.keysOf(JSON.stringify({ server: server.identity, client, texts }))[0] ?? ''
    },
    credentialFault: () => credential.fault?.(),
  }
  return (subject) => {
    // Nothing that is kept holds the caller's token itself.
    const digest = subject && hash('sha256', subject.token, 'base64url')
    let keyed: { readonly identity: string; readonly keys: readonly string[] } | undefined
    return {
      ...common,
      endsAt: subject?.expiresAt,
      // A changed secret must not go on with the token of the old one.
      keys(reading) {
        readAgain(reading)
        const identity = credential.identify()
        if (keyed?.identity !== identity) keyed = { identity, keys: keysOf(identity, digest) }
        return keyed.keys
      },
      send: () =>
        subject
          ? sendBy(tokenExchange({ token: subject.token, type: subjectType, requestedType })).catch(tellCaller)
          : sendBy(own),
    }
  }
}

/** What is asked for, and the canonical form of asking for it: equal for two requests if and only if they are the same. */
function wishesOf({ client, server, token }: TokenRequestContext, { assertion }: Credential) {
  const scopes = token.scopes ?? token.scope ?? client.scopes ?? client.scope ?? []
  const audience = token.audience ?? client.audience ?? []
  const resource = token.resource ?? client.resource ?? []
  const params = Object.entries({ ...client.token_params, ...token.params })
  const parameters: [string, string][] = [
    ...(scopes.length > 0 && !assertion?.holdsScope ? [['scope', scopes.join(' ')] as [string, string]] : []),
    ...audience.map((value): [string, string] => ['audience', value]),
    ...resource.map((value): [string, string] => ['resource', value]),
    ...params,
  ]
  const canonical = (identity: string, subject: string | undefined) =>
    JSON.stringify({
      grant: token.exchange ? 'token-exchange' : client.grant,
      subject,
      subjectType: token.exchange && subjectTypeOf(token),
      exactScope: client.scope_policy === 'exact',
      server: server.identity,
      client: client.client_id,
      method: client.token_endpoint_auth_method,
      credential: identity,
      scopes: [...new Set(scopes)].sort(),
      audience: [...new Set(audience)].sort(),
      resource: [...new Set(resource)].sort(),
      params: [...params].sort(([one], [other]) => (one < other ? -1 : 1)),
    })
  return { scopes, parameters, canonical }
}

function subjectTypeOf({ subject_token_type: type = tokenTypes.access_token }: Partial<TokenOptions>): string {
  return type
}

/** The keys by credential and caller, worked out once for each caller as long as the credential stays. */
function rememberKeys(cache: TokenCache, canonical: (identity: string, subject: string | undefined) => string) {
  let known: { readonly identity: string; readonly bySubject: BoundedMap<readonly string[]> } | undefined
  return (identity: string, subject?: string): readonly string[] => {
    if (subject === undefined) return cache.keysOf(canonical(identity, undefined))
    if (known?.identity !== identity) known = { identity, bySubject: createBoundedMap() }
    const found = known.bySubject.get(subject)
    if (found) return found
    const keys = cache.keysOf(canonical(identity, subject))
    known.bySubject.set(subject, keys)
    return keys
  }
}

/** The server will not have the token of a caller, or may mean that: what came for it before goes out no more. */
export class SubjectRefusal extends GatewayError {}

/** Whose token was revoked at its server can get another one. What may be the gateway's own fault, no caller can mend. */
function tellCaller(error: unknown): never {
  if (!(error instanceof TokenRefusal) || error.ofClient || error.of === undefined) throw error
  if (error.of === 'request') throw new SubjectRefusal(error.code, error.options)
  throw new SubjectRefusal('invalid_token', {
    reason: `it is not taken in exchange: ${error.options.reason}`,
    challenge: { error: 'invalid_token' },
  })
}
