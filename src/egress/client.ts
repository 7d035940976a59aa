import { z } from 'zod'
import type { ClientAuthMethod, ClientCredential, Expiry } from '../authorization-server/client-auth/define.ts'
import { clientAuthMethods } from '../authorization-server/client-auth/index.ts'
import { tlsOptions, withCertificate } from '../authorization-server/client-auth/tls.ts'
import {
  createGrantAssertion,
  findGrantAssertionFault,
  type GrantAssertion,
  type GrantAssertionOptions,
  grantAssertionOptions,
} from '../authorization-server/grants/jwt-bearer.ts'
import { tokenTypes } from '../authorization-server/grants/token-exchange.ts'
import { createClientCertificate } from '../base/client-certificate.ts'
import { faultRule, type OptionFault } from '../base/fault-rule.ts'
import { isReadOnTheWay } from '../base/header-lists.ts'
import { keyFaultOf } from '../base/private-key.ts'
import {
  flag,
  listOf,
  oneOf,
  oneOrMore,
  parsedText,
  ruleOverMap,
  scopeText,
  scopeToken,
  text,
} from '../base/scalars.ts'
import { Secret } from '../base/secret.ts'
import { Substituted } from '../base/substituted.ts'
import {
  findIdentityFault,
  type RegistrationOptions,
  registrationOptions,
  sharedMembers,
} from './registration/registration-options.ts'

const reservedParameters = [
  'grant_type',
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
  'assertion',
  'subject_token',
  'subject_token_type',
  'actor_token',
  'scope',
  'audience',
  'resource',
]

/** Parameters that a server wants beside the standard ones, sent as they stand. */
const parameters = () =>
  z.record(
    z
      .string()
      .refine(
        (name) => name !== '' && !reservedParameters.includes(name),
        `cannot be sent as a parameter of its own: ${reservedParameters.join(', ')} have keys or are said by scopegate`,
      ),
    text(),
  )

/** An absolute URI without fragment. @see https://www.rfc-editor.org/rfc/rfc8707#section-2 */
const resource = () =>
  parsedText<string>('an absolute URI without fragment (RFC 8707)', (given) =>
    URL.canParse(given) && !given.includes('#') ? given : undefined,
  )

/** What a token is asked for; a route's own win over its client's. */
const wishes = {
  scope: scopeText().optional().describe('scope values separated by spaces; `scopes` is the same as a list'),
  scopes: listOf(scopeToken()).optional().describe('scope values as a list'),
  audience: oneOrMore(text()).optional().describe('the `audience` parameter, for servers that want it'),
  resource: oneOrMore(resource()).optional().describe('the `resource` parameter (RFC 8707)'),
}

/** What a program may ask a client's token for. An empty list asks for nothing, whatever the client is configured for. */
export const wishOptions = z.strictObject({
  scopes: z.array(scopeToken()).optional(),
  audience: z.array(text()).optional(),
  resource: z.array(resource()).optional(),
  params: parameters().optional(),
})

const oneScopeKey = {
  ...ruleOverMap,
  path: ['scopes'],
  message: 'stands beside scope; keep one of them: they mean the same',
}
const hasOneScopeKey = (given: { readonly scope?: unknown; readonly scopes?: unknown }) =>
  given.scope === undefined || given.scopes === undefined

const commonOptions = {
  authorization_server: text().describe('the name of the server that issues its tokens'),
  client_id: text().optional().describe('what the server calls it; or registration'),
  registration: registrationOptions.optional().describe('in place of client_id and client_secret: it registers itself'),
  grant: oneOf('client_credentials', 'jwt-bearer')
    .prefault('client_credentials')
    .describe('`jwt-bearer`: it gets its tokens for a signed assertion (RFC 7523), as service accounts do'),
  grant_assertion: grantAssertionOptions.optional().describe('with `grant: jwt-bearer`: how the assertion is made'),
  ...wishes,
  token_params: parameters().optional().describe('further parameters of the token request, sent as they stand'),
  scope_policy: oneOf('warn', 'exact')
    .prefault('warn')
    .describe('`exact`: a granted scope that is narrower than asked is an error, not a warning'),
  tls: tlsOptions.optional(),
  tls_client_certificate_bound_access_tokens: flag()
    .optional()
    .describe('true: the tokens are bound to the certificate, which goes to the upstream with them (RFC 8705)'),
}

function clientForm(method: ClientAuthMethod, isDefault: boolean) {
  const name = z.literal(method.name).describe('how it authenticates')
  const methodName = isDefault ? name.default(method.name) : name
  return z
    .strictObject({ ...commonOptions, token_endpoint_auth_method: methodName, ...method.options, ...ownSecret(method) })
    .check(identityRule(method))
    .refine(hasOneScopeKey, oneScopeKey)
    .refine((given) => given.tls_client_certificate_bound_access_tokens !== true || given.tls !== undefined, {
      ...ruleOverMap,
      path: ['tls_client_certificate_bound_access_tokens'],
      message: 'needs the certificate that the tokens are bound to; give the client its tls',
    })
    .refine((given) => !(Object(given).basic_encoding === 'raw' && String(given.client_id).includes(':')), {
      ...ruleOverMap,
      path: ['basic_encoding'],
      message: 'is raw, and the client_id has a ":", behind which the secret would begin (RFC 7617); use rfc6749',
    })
    .check(credentialRule(method))
    .check(faultRule(['grant', 'grant_assertion', 'client_id', 'registration'], findGrantFault))
    .meta({ anyOf: [{ required: ownKeys(method) }, { required: ['registration'] }] })
}

interface GrantOptions {
  readonly grant: 'client_credentials' | 'jwt-bearer'
  readonly grant_assertion?: GrantAssertionOptions | undefined
  readonly registration?: unknown
}

function findGrantFault({ grant, grant_assertion: assertion, registration }: GrantOptions): OptionFault | undefined {
  if (grant !== 'jwt-bearer') {
    const message = 'stands beside a grant that shows no assertion; write grant: jwt-bearer, or remove it'
    return assertion && { path: ['grant_assertion'], message }
  }
  if (registration !== undefined)
    return {
      path: ['grant'],
      message: 'is jwt-bearer beside registration, which gives no key to sign with; keep one of them',
    }
  if (assertion) return findGrantAssertionFault(assertion)
  const message =
    'is jwt-bearer, and has no grant_assertion beside it: the key that signs, and whose access it asks for'
  return { path: ['grant'], message }
}

/** What tells editors apart a client that is known from one that registers itself. */
function ownKeys({ options }: ClientAuthMethod): string[] {
  return ['client_id', ...(Object.hasOwn(options, 'client_secret') ? ['client_secret'] : [])]
}

/** A secret is given, or else comes with the registration. */
function ownSecret({ options }: ClientAuthMethod): { client_secret?: z.ZodOptional } {
  const { client_secret: option } = options
  return option instanceof z.ZodType ? { client_secret: option.optional() } : {}
}

function identityRule(method: ClientAuthMethod) {
  const keys = ['token_endpoint_auth_method', 'client_id', 'client_secret', 'registration', 'scope', 'scopes']
  return faultRule<Record<string, unknown>>(keys, (given) => findIdentityFault(method, given))
}

/** What no single key tells of a credential. */
function credentialRule(method: ClientAuthMethod) {
  const keys = ['token_endpoint_auth_method', 'grant', 'tls', ...Object.keys(method.options)]
  return faultRule<Record<string, unknown>>(keys, (given) => findCredentialFault(method, given))
}

function findCredentialFault(method: ClientAuthMethod, given: Record<string, unknown>): OptionFault | undefined {
  const { tls, grant } = given as { tls?: z.output<typeof tlsOptions>; grant?: string }
  const awaitsSecret = Object.hasOwn(method.options, 'client_secret') && given.client_secret === undefined
  // With an assertion that shows who asks, the client itself may be unknown. @see https://www.rfc-editor.org/rfc/rfc7523#section-3.1
  const isUnknown = method.name === 'none' && grant === 'jwt-bearer'
  return (
    (awaitsSecret || isUnknown ? undefined : method.findFault?.(given)) ??
    (tls && keyFaultOf(() => createClientCertificate(tls), ['tls']))
  )
}

const [defaultMethod, ...otherMethods] = clientAuthMethods

/** One client of an authorization server. Which keys it has follows from its authentication method. */
export const clientOptions = z.preprocess(
  readMethod,
  z.discriminatedUnion('token_endpoint_auth_method', [
    clientForm(defaultMethod, true),
    ...otherMethods.map((method) => clientForm(method, false)),
  ]),
)

/** Which form a client has must be known before its values are read: the method may stand in a variable. */
function readMethod(client: unknown): unknown {
  const { token_endpoint_auth_method: own, registration } = Object(client) as Readonly<Record<string, unknown>>
  const member = Object(Object(registration).metadata).token_endpoint_auth_method as unknown
  const usual = registration === undefined ? undefined : (methodNamed(textOf(member)) ?? defaultMethod).name
  const method = own === undefined ? (usual ?? methodOfGrant(client)) : textOf(own)
  if (method === undefined) return client
  const read = { ...Object(client), token_endpoint_auth_method: method }
  return registration === undefined ? read : { ...membersOf(registration, method), ...read }
}

/** Whoever shows an assertion, and has no secret, shows nothing else. */
function methodOfGrant(client: unknown): string | undefined {
  const { grant, client_secret: secret } = Object(client) as Readonly<Record<string, unknown>>
  return textOf(grant) === 'jwt-bearer' && secret === undefined ? 'none' : undefined
}

/** Whoever says something of the client in its metadata need not say it again beside it. */
function membersOf(registration: unknown, method: string): Readonly<Record<string, unknown>> {
  const metadata = Object(Object(registration).metadata) as Readonly<Record<string, unknown>>
  const keys = { ...commonOptions, ...methodNamed(method)?.options }
  const shared = sharedMembers.filter((name) => Object.hasOwn(keys, name) && metadata[name] !== undefined)
  return Object.fromEntries(shared.map((name) => [name, metadata[name]]))
}

function textOf(value: unknown): string | undefined {
  if (value instanceof Substituted && !value.fromFile) return value.read()
  return typeof value === 'string' ? value : undefined
}

/** The method of this name, as registered with IANA. */
export function methodNamed(name: string | undefined): ClientAuthMethod | undefined {
  const methods: readonly ClientAuthMethod[] = clientAuthMethods
  return methods.find((method) => method.name === name)
}

export type ClientOptions = z.output<typeof clientOptions>

/** A client of which it is known who it is. */
export type KnownClient = ClientOptions & { readonly client_id: string }

/** A client that registers itself. */
export type RegisteringClient = ClientOptions & { readonly registration: RegistrationOptions }

export function isRegistering(client: ClientOptions): client is RegisteringClient {
  return client.registration !== undefined
}

/** Who a client is, and what it shows beside that for its tokens. */
export interface Credential extends ClientCredential {
  /** Where it asks by `jwt-bearer`. */
  readonly assertion?: GrantAssertion
}

/** The credential of a client whose secret is there, by its authentication method and its grant. */
export function createCredential(client: ClientOptions): Credential {
  const credential = createMethodCredential(client)
  const { grant_assertion: options, client_id: clientId } = client
  if (!options || clientId === undefined) return credential
  const assertion = createGrantAssertion(options, clientId)
  return {
    ...credential,
    assertion,
    identify: () => JSON.stringify([credential.identify(), assertion.identify()]),
    fault: () => credential.fault?.() ?? assertion.fault(),
    expiries: () => [...(credential.expiries?.() ?? []), ...assertion.expiries()],
  }
}

function createMethodCredential(client: ClientOptions): ClientCredential {
  const method = methodNamed(client.token_endpoint_auth_method)
  if (!method) throw new TypeError(`there is no client authentication method ${client.token_endpoint_auth_method}`)
  const credential = method.create(client)
  return client.tls && !credential.tls ? withCertificate(credential, client.tls) : credential
}

/** What of a client's credential is good no more at some date. */
export function expiriesOf(client: ClientOptions): readonly Expiry[] {
  const awaitsSecret =
    isRegistering(client) && 'client_secret' in (methodNamed(client.token_endpoint_auth_method)?.options ?? {})
  return awaitsSecret ? [] : (createCredential(client).expiries?.() ?? [])
}

/** Every secret of a client, its certificate and keys among them. */
export function secretsOf(client: ClientOptions): readonly Secret[] {
  return [client, client.tls ?? {}, client.grant_assertion ?? {}]
    .flatMap((options) => Object.values(options))
    .filter((value) => value instanceof Secret)
}

/** True if the client's tokens are good only over connections that present its certificate. */
export function isCertificateBound(client: ClientOptions): boolean {
  return client.tls_client_certificate_bound_access_tokens === true
}

const headerName = () =>
  parsedText<string>('the name of a header that can bear a token, such as Authorization', (given) =>
    /^[A-Za-z0-9-]+$/.test(given) && !isReadOnTheWay(given.toLowerCase()) ? given : undefined,
  )

/** Which token a route's upstream needs. */
export const tokenOptions = z
  .strictObject({
    client: text().describe('the name of the client whose token goes to the upstream'),
    exchange: oneOf('subject_token')
      .optional()
      .describe("`subject_token`: the caller's token is exchanged for the upstream's (RFC 8693); needs `require`"),
    subject_token_type: parsedText<string>('access_token, jwt or a URI', (given) =>
      given === 'access_token' || given === 'jwt' ? tokenTypes[given] : URL.canParse(given) ? given : undefined,
    )
      .optional()
      .describe(
        "with `exchange`: what the caller's token is to the client's server: `access_token` (default), one of its own; `jwt`, one of another server; or a URI",
      ),
    ...wishes,
    params: parameters().optional().describe('further parameters of the token request, beside the client’s'),
    header: headerName().prefault('Authorization').describe('where the token goes'),
    scheme: parsedText<string>('an authentication scheme such as Bearer, or none', (given) =>
      given === 'none' ? '' : /^[\w!#$%&'*+.^`|~-]+$/.test(given) ? given : undefined,
    )
      .prefault('Bearer')
      .describe('what stands before the token; the word `none` sends the token alone'),
  })
  .refine(hasOneScopeKey, oneScopeKey)
  .refine((given) => given.subject_token_type === undefined || given.exchange !== undefined, {
    ...ruleOverMap,
    path: ['subject_token_type'],
    message: 'stands on a token that nothing is exchanged for; write exchange: subject_token, or remove it',
  })

export type TokenOptions = z.output<typeof tokenOptions>
