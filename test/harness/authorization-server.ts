import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JSONWebKeySet,
  type JWK,
  type JWTPayload,
  SignJWT,
} from 'jose'
import Provider, { type Adapter, type AdapterPayload, type ClientMetadata, type Configuration } from 'oidc-provider'
import { listen } from './listen.ts'
import { createTlsServer, mutualTlsFeature } from './mutual-tls.ts'
import { createSecret, registerSecret } from './secrets.ts'
import { type SeenRequest, watchRequest } from './seen-request.ts'

/** What a test may say about the authorization server that it wants. */
export interface AuthorizationServerOptions {
  /** Clients beside `default-client`; each may ask for tokens by client credentials unless it says otherwise. */
  readonly clients?: readonly ClientMetadata[]
  /** The scopes that there are; by default customer.read, customer.write and country.read. */
  readonly scopes?: readonly string[]
  /** The `aud` of a token for which no `resource` was asked; by default https://api.example.test. */
  readonly audience?: string
  /** Seconds that a token lives, 300 by default. */
  readonly lifetime?: number
  readonly tokenFormat?: 'jwt' | 'opaque'
  readonly signingAlgorithm?: 'RS256' | 'ES256'
  /** Claims beside the usual ones in every token. */
  readonly extraClaims?: Readonly<Record<string, unknown>>
  /**
   * Over TLS, with the certificate of the test's authority, and with client certificates: asked for at the issuer's own
   * address, or, as an `alias`, at a second one alone (`mtls_endpoint_aliases`).
   */
  readonly tls?: { readonly alias?: boolean }
  /** Lets clients register themselves, and manage that; with an initial access token where one is given. */
  readonly registration?: {
    readonly initialAccessToken?: string
    readonly unmanaged?: true
    readonly rotatesAccessToken?: true
  }
  /** Changes the configuration of oidc-provider at will, last of all. */
  readonly configure?: (configuration: Configuration) => Configuration
  /** Adds to oidc-provider what it has not by itself, such as grants. */
  readonly extend?: (provider: Provider) => void
}

/** The parts of the server that a test can answer in its stead. */
export type Endpoint = 'token' | 'jwks' | 'discovery' | 'registration'

/** Answers a request in the server's stead. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void

export interface TokenWish {
  readonly clientId?: string
  readonly scope?: string
  readonly resource?: string
}

/** A real authorization server, oidc-provider, in this process, on 127.0.0.1; over plain http unless a test wants TLS. */
export interface AuthorizationServer {
  readonly issuer: string
  /** The same as `issuer`. */
  readonly url: string
  readonly tokenEndpoint: string
  /** The one for clients with certificates, where there is one of its own. */
  readonly aliasTokenEndpoint: string | undefined
  readonly jwksUri: string
  /** `default-client`, by client_secret_basic, with every scope. */
  readonly client: { readonly client_id: string; readonly client_secret: string }
  /** Every request that arrived, oldest first. */
  readonly requests: readonly SeenRequest[]
  /** Those that arrived at one endpoint. */
  requestsTo(endpoint: Endpoint): SeenRequest[]
  /** The public keys. */
  jwks(): Promise<JSONWebKeySet>
  /** An access token, obtained through the token endpoint with the client's secret (basic or post). */
  issueToken(wish?: TokenWish): Promise<string>
  /** A token of any shape, signed with the server's own key; `iss`, `aud`, `iat` and `exp` are right unless given. */
  signToken(claims?: JWTPayload, header?: { readonly typ?: string }): Promise<string>
  /** From now on answers the endpoint's requests this way; without an answer it is the real thing again. */
  answer(endpoint: Endpoint, answer?: Answer): void
  /** From now on keeps the endpoint's requests waiting; the function that it gives back has all of them answered. */
  hold(endpoint: Endpoint): () => void
  /** Stops listening and cuts every connection. */
  stop(): Promise<void>
  /** Listens again, on the same port. */
  restart(): Promise<void>
}

const paths: Record<Endpoint, string> = {
  token: '/token',
  jwks: '/jwks',
  discovery: '/.well-known/',
  registration: '/reg',
}

/** Starts one on a free port. Every client secret and every token that it issues is registered as a secret. */
export async function startAuthorizationServer(options: AuthorizationServerOptions = {}): Promise<AuthorizationServer> {
  const { audience = 'https://api.example.test', lifetime = 300, signingAlgorithm = 'RS256' } = options
  const requests: SeenRequest[] = []
  const answers = new Map<Endpoint, Answer>()
  let provide: Answer = (_request, response) => response.writeHead(503).end()

  const { tls } = options
  const listener: RequestListener = (request, response) => {
    const seen = watchRequest(request)
    requests.push(seen)
    const endpoint = endpointOf(seen)
    const answer = endpoint === undefined ? undefined : answers.get(endpoint)
    if (answer) answer(request, response)
    else provide(request, response)
  }
  const server = tls ? createTlsServer(listener, tls.alias !== true) : createServer(listener)
  let listening = await listen(server)
  const issuer = `${tls ? 'https' : 'http'}://127.0.0.1:${listening.port}`
  const alias = tls?.alias ? await listen(createTlsServer(listener, true)) : undefined
  const aliasTokenEndpoint = alias && `https://127.0.0.1:${alias.port}${paths.token}`
  const client = { client_id: 'default-client', client_secret: createSecret() }
  const clients: ClientMetadata[] = [client, ...(options.clients ?? [])].map(asServiceClient)
  clients.forEach(registerClientSecret)
  const keys = await createKeys()
  const configuration = createConfiguration({
    ...options,
    ...{ audience, lifetime, signingAlgorithm, clients, keys, aliasTokenEndpoint },
  })
  const provider = new Provider(issuer, options.configure?.(configuration) ?? configuration)
  provider.on('grant.success', (context) => {
    const token: unknown = Object(context.body).access_token
    if (typeof token === 'string') registerSecret(token)
  })
  provider.on('registration_create.success', registerRegistration)
  provider.on('registration_update.success', registerRegistration)
  options.extend?.(provider)
  const callback = provider.callback()
  provide = (request, response) => void callback(request, response)

  return {
    issuer,
    url: issuer,
    tokenEndpoint: `${issuer}${paths.token}`,
    jwksUri: `${issuer}${paths.jwks}`,
    aliasTokenEndpoint,
    client,
    requests,
    requestsTo: (endpoint) => requests.filter((seen) => endpointOf(seen) === endpoint),
    jwks: async () => (await (await fetch(`${issuer}${paths.jwks}`)).json()) as JSONWebKeySet,
    issueToken: (wish = {}) => {
      const { clientId = client.client_id, ...parameters } = wish
      const known = clients.find((candidate) => candidate.client_id === clientId)
      if (!known?.client_secret) throw new TypeError(`no client "${clientId}" with a secret`)
      return requestToken(`${issuer}${paths.token}`, known, parameters)
    },
    signToken: async (claims = {}, header = {}) => {
      const now = Math.floor(Date.now() / 1000)
      const token = await new SignJWT({ iss: issuer, aud: audience, iat: now, exp: now + lifetime, ...claims })
        .setProtectedHeader({ alg: signingAlgorithm, kid: signingAlgorithm, ...header })
        .sign(keys[signingAlgorithm].privateKey)
      return registerSecret(token)
    },
    answer(endpoint, answer) {
      if (answer) answers.set(endpoint, answer)
      else answers.delete(endpoint)
    },
    hold(endpoint) {
      const held: (() => void)[] = []
      answers.set(endpoint, (...exchange) => void held.push(() => provide(...exchange)))
      return () => {
        answers.delete(endpoint)
        for (const answer of held) answer()
      }
    },
    async stop() {
      await Promise.all([listening.stop(), alias?.stop()])
    },
    async restart() {
      listening = await listen(server, listening.port)
    },
  }
}

/** An answer of this status, body and content type, the same each time. */
export function answerWith(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const type = typeof body === 'string' ? 'text/html' : 'application/json'
  return (request, response) => {
    request.resume()
    response.writeHead(status, { 'content-type': type, ...headers }).end(text)
  }
}

/** Takes the request and never says a word. */
export const answerNever: Answer = (request) => {
  request.resume()
}

/** Breaks the connection. */
export const answerBroken: Answer = (request) => {
  request.socket.destroy()
}

function endpointOf(seen: SeenRequest): Endpoint | undefined {
  const path = seen.url.split('?', 1)[0] ?? ''
  if (path === paths.token || path === paths.jwks) return path === paths.token ? 'token' : 'jwks'
  if (path === paths.registration || path.startsWith(`${paths.registration}/`)) return 'registration'
  return path.startsWith(paths.discovery) ? 'discovery' : undefined
}

function asServiceClient(client: ClientMetadata): ClientMetadata {
  return { grant_types: ['client_credentials'], redirect_uris: [], response_types: [], ...client }
}

/** What the server tells a client that has registered, or changed its registration. */
function registerRegistration({ body }: { readonly body?: unknown }): void {
  const { registration_access_token: token, ...client } = Object(body)
  registerClientSecret(client)
  if (typeof token === 'string') registerSecret(token)
}

/** The secret by itself, and as Basic credentials, in both encodings. */
function registerClientSecret({ client_id: id, client_secret: secret }: ClientMetadata): void {
  if (secret === undefined) return
  registerSecret(secret)
  registerSecret(Buffer.from(`${id}:${secret}`).toString('base64'))
  registerSecret(Buffer.from(`${formEncode(id)}:${formEncode(secret)}`).toString('base64'))
}

function formEncode(text: string): string {
  return new URLSearchParams({ text }).toString().slice('text='.length)
}

type SigningAlgorithm = 'RS256' | 'ES256'

interface SigningKey {
  readonly privateKey: CryptoKey
  readonly jwk: JWK
}

async function createKeys(): Promise<Record<SigningAlgorithm, SigningKey>> {
  const [rsa, ec] = await Promise.all((['RS256', 'ES256'] as const).map(createKey))
  if (!rsa || !ec) throw new Error('no keys')
  return { RS256: rsa, ES256: ec }
}

async function createKey(alg: SigningAlgorithm): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return { privateKey, jwk: { ...(await exportJWK(privateKey)), kid: alg, alg, use: 'sig' } }
}

interface ConfigurationInput extends AuthorizationServerOptions {
  readonly audience: string
  readonly lifetime: number
  readonly signingAlgorithm: SigningAlgorithm
  readonly clients: ClientMetadata[]
  readonly keys: Record<SigningAlgorithm, SigningKey>
  readonly aliasTokenEndpoint: string | undefined
}

const authenticationMethods = [
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'none',
] as const
const tlsMethods = ['tls_client_auth', 'self_signed_tls_client_auth'] as const

const clientAuthSigningAlgValues = [
  ...(['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const),
]

function createConfiguration(input: ConfigurationInput): Configuration {
  const scopes = input.scopes ?? ['customer.read', 'customer.write', 'country.read']
  const { audience, lifetime, tokenFormat = 'jwt', signingAlgorithm, extraClaims = {} } = input
  return {
    adapter: createStore(),
    clients: input.clients,
    jwks: { keys: Object.values(input.keys).map((key) => key.jwk) } as NonNullable<Configuration['jwks']>,
    cookies: { keys: [createSecret()] },
    scopes: [...scopes],
    extraTokenClaims: () => ({ ...extraClaims }),
    ttl: { ClientCredentials: lifetime },
    clientAuthMethods: [...authenticationMethods, ...(input.tls ? tlsMethods : [])],
    enabledJWA: { clientAuthSigningAlgValues },
    discovery: input.aliasTokenEndpoint ? { mtls_endpoint_aliases: { token_endpoint: input.aliasTokenEndpoint } } : {},
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      ...(input.tls && { mTLS: mutualTlsFeature }),
      ...(input.registration && {
        registration: {
          enabled: true,
          initialAccessToken: input.registration.initialAccessToken ?? false,
          issueRegistrationAccessToken: input.registration.unmanaged !== true,
        },
        registrationManagement: {
          enabled: input.registration.unmanaged !== true,
          rotateRegistrationAccessToken: input.registration.rotatesAccessToken === true,
        },
      }),
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => ({
          scope: scopes.join(' '),
          audience: resource,
          accessTokenTTL: lifetime,
          accessTokenFormat: tokenFormat,
          ...(tokenFormat === 'jwt' ? { jwt: { sign: { alg: signingAlgorithm } } } : {}),
        }),
      },
    },
  }
}

/** Keeps what the server must remember (opaque tokens, registered clients), as long as it lives. */
function createStore(): (kind: string) => Adapter {
  const store = new Map<string, AdapterPayload>()
  const findBy = async (member: 'uid' | 'userCode', value: string) =>
    [...store.values()].find((payload) => payload[member] === value)
  return (kind) => ({
    upsert: async (id, payload) => void store.set(`${kind}:${id}`, payload),
    find: async (id) => store.get(`${kind}:${id}`),
    findByUid: (uid) => findBy('uid', uid),
    findByUserCode: (userCode) => findBy('userCode', userCode),
    consume: async (id) => void Object.assign(store.get(`${kind}:${id}`) ?? {}, { consumed: true }),
    destroy: async (id) => void store.delete(`${kind}:${id}`),
    revokeByGrantId: async (grantId) => {
      for (const [id, payload] of store) if (payload.grantId === grantId) store.delete(id)
    },
  })
}

async function requestToken(
  endpoint: string,
  client: ClientMetadata,
  parameters: Readonly<Record<string, string>>,
): Promise<string> {
  const { client_id: id, client_secret: secret = '' } = client
  const post = client.token_endpoint_auth_method === 'client_secret_post'
  const credentials = Buffer.from(`${formEncode(id)}:${formEncode(secret)}`).toString('base64')
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: post ? {} : { authorization: `Basic ${credentials}` },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      ...parameters,
      ...(post ? { client_id: id, client_secret: secret } : {}),
    }),
  })
  const answer = Object(await response.json())
  if (!response.ok) throw new Error(`the authorization server refused: ${answer.error} ${answer.error_description}`)
  return String(answer.access_token)
}
