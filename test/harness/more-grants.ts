import { createLocalJWKSet, createRemoteJWKSet, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'
import type Provider from 'oidc-provider'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { AuthorizationServerOptions } from './authorization-server.ts'

/** What oidc-provider has not by itself: token exchange, and the grant by a signed assertion. To be spread among its options. */
export function moreGrants(
  assertionKeys: JSONWebKeySet = { keys: [] },
): Required<Pick<AuthorizationServerOptions, 'configure' | 'extend'>> {
  const used = new Set<unknown>()
  return {
    configure: (configuration) => ({ ...configuration, extraTokenClaims: (context) => claimsOf.get(context) }),
    extend(provider) {
      provider.registerGrantType(
        'urn:ietf:params:oauth:grant-type:token-exchange',
        (context) => exchange(provider, context),
        ['subject_token', 'subject_token_type', 'scope', 'audience'],
      )
      provider.registerGrantType(
        'urn:ietf:params:oauth:grant-type:jwt-bearer',
        (context) => grantByAssertion(provider, context, { keys: assertionKeys, used }),
        ['assertion', 'scope'],
      )
    },
  }
}

/** What the token is to say beside the usual, by the request for it. */
const claimsOf = new WeakMap<object, JWTPayload>()

/** Takes its own access tokens alone. @see https://www.rfc-editor.org/rfc/rfc8693#section-2.1 */
async function exchange(provider: Provider, context: KoaContextWithOIDC): Promise<void> {
  const { subject_token: subject, subject_token_type: type, audience } = paramsOf(context)
  if (type !== 'urn:ietf:params:oauth:token-type:access_token')
    throw new errors.InvalidRequest('subject_token_type is not supported')
  const keys = createRemoteJWKSet(new URL(`${provider.issuer}/jwks`))
  const { payload } = await jwtVerify(subject ?? '', keys, { issuer: provider.issuer }).catch(() => {
    throw new errors.InvalidRequest('the subject_token is invalid')
  })
  if (payload.withdrawn === true) throw new errors.InvalidGrant('the subject_token was withdrawn')
  const issued_token_type = 'urn:ietf:params:oauth:token-type:access_token'
  await issue(provider, context, { claims: { on_behalf_of: payload.sub }, audience, more: { issued_token_type } })
}

interface Assertions {
  readonly keys: JSONWebKeySet
  /** Each `jti` that came already. */
  readonly used: Set<unknown>
}

/** Looks closely: an hour at most, each assertion once. @see https://www.rfc-editor.org/rfc/rfc7523#section-3 */
async function grantByAssertion(provider: Provider, context: KoaContextWithOIDC, known: Assertions): Promise<void> {
  const { assertion = '' } = paramsOf(context)
  const { payload } = await jwtVerify(assertion, createLocalJWKSet(known.keys), {
    audience: [provider.issuer, `${provider.issuer}/token`],
    requiredClaims: ['iss', 'exp', 'iat', 'jti'],
    maxTokenAge: '1h',
  }).catch(() => {
    throw new errors.InvalidGrant('the assertion is invalid')
  })
  if (known.used.has(payload.jti)) throw new errors.InvalidGrant('the assertion came before')
  known.used.add(payload.jti)
  await issue(provider, context, { claims: { on_behalf_of: payload.sub ?? payload.iss, asserted: payload } })
}

interface Issued {
  readonly claims: JWTPayload
  readonly audience?: string | undefined
  readonly more?: Readonly<Record<string, unknown>>
}

async function issue(provider: Provider, context: KoaContextWithOIDC, { claims, audience, more }: Issued) {
  const { client } = context.oidc
  const asserted = Object(claims.asserted).scope
  const scope = paramsOf(context).scope ?? (typeof asserted === 'string' ? asserted : undefined)
  if (!client) throw new errors.InvalidClient('there is no client')
  const token = new provider.ClientCredentials({ client, ...(scope !== undefined && { scope }) })
  token.resourceServer = new provider.ResourceServer(audience ?? 'https://api.example.test', {
    scope: scope ?? '',
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'RS256' } },
  })
  claimsOf.set(context, claims)
  context.oidc.entity('ClientCredentials', token)
  const access_token = await token.save()
  context.body = { access_token, expires_in: token.expiration, token_type: 'Bearer', scope, ...more }
}

function paramsOf(context: KoaContextWithOIDC): Partial<Record<string, string>> {
  return context.oidc.params as Partial<Record<string, string>>
}
