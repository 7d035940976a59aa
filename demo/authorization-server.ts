import { createServer, type Server } from 'node:http'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import Provider, { type Adapter, type ClientMetadata, type Configuration, type KoaContextWithOIDC } from 'oidc-provider'
import { listen, type Running } from './listen.ts'

/** The demo's clients, by client_secret_basic. Nobody outside of this machine ever meets them. */
export const clients = {
  'legacy-reports': 'legacy-reports-secret',
  reader: 'reader-secret',
  writer: 'writer-secret',
} as const

export type ClientName = keyof typeof clients

const scopes = ['country.read', 'customer.read', 'customer.write']

/** What a client may ask for. */
const mayAskFor: Record<ClientName, string> = {
  'legacy-reports': 'country.read',
  reader: 'customer.read',
  writer: 'customer.read customer.write',
}

const demoClients: readonly ClientMetadata[] = Object.entries(clients).map(([id, secret]) => ({
  client_id: id,
  client_secret: secret,
  scope: mayAskFor[id as ClientName],
}))

/** Who the tokens are for: each protected service has a name of its own. */
export const audiences = { countries: 'https://countries.example', customers: 'https://customers.example' } as const

const tokenLifetimeSeconds = 3600

export interface AuthorizationServer extends Running {
  /** How many tokens a client has asked for so far. */
  tokensAskedBy(client: string): number
  /** What it signs with, for those who cannot ask it. */
  readonly publicKey: JWK
}

/** What may be otherwise than the demo mostly has it. */
interface AuthorizationServerOptions {
  readonly clients?: readonly ClientMetadata[]
  /** One that listens over TLS. */
  readonly tlsServer?: Server
  readonly configuration?: Configuration
  /** Called with every token that was issued. */
  readonly onToken?: (context: KoaContextWithOIDC) => void
}

/** Starts oidc-provider, a certified OpenID Connect server, on a free port. */
export async function startAuthorizationServer(options: AuthorizationServerOptions = {}): Promise<AuthorizationServer> {
  const { tlsServer, clients = demoClients, configuration, onToken } = options
  const asked: string[] = []
  const server = tlsServer ?? createServer()
  const running = await listen(server, tlsServer ? 'https' : 'http')
  const { privateKey, publicKey } = await createSigningKey()
  const provider = new Provider(running.url, configure(clients, privateKey, configuration))
  provider.on('grant.success', (context) => {
    asked.push(context.oidc.client?.clientId ?? '')
    onToken?.(context)
  })
  server.on('request', provider.callback())
  return { ...running, publicKey, tokensAskedBy: (client) => asked.filter((name) => name === client).length }
}

async function createSigningKey(): Promise<{ readonly privateKey: JWK; readonly publicKey: JWK }> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
  const named = { kid: 'demo', alg: 'RS256', use: 'sig' }
  return {
    privateKey: { ...(await exportJWK(privateKey)), ...named },
    publicKey: { ...(await exportJWK(publicKey)), ...named },
  }
}

function configure(clients: readonly ClientMetadata[], key: JWK, more: Configuration = {}): Configuration {
  return {
    ...more,
    adapter: () => nothingStored,
    jwks: { keys: [key] } as NonNullable<Configuration['jwks']>,
    scopes,
    clients: clients.map((client) => ({
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      ...client,
    })),
    ttl: { ClientCredentials: tokenLifetimeSeconds },
    features: {
      ...more.features,
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audiences.customers,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => ({
          scope: scopes.join(' '),
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: tokenLifetimeSeconds,
        }),
      },
    },
  }
}

/** Tokens are JWTs and clients stand in the configuration, so that there is nothing to store. */
const nothingStored: Adapter = {
  upsert: async () => undefined,
  find: async () => undefined,
  findByUserCode: async () => undefined,
  findByUid: async () => undefined,
  consume: async () => undefined,
  destroy: async () => undefined,
  revokeByGrantId: async () => undefined,
}
