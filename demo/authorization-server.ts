import { createServer } from 'node:http'
import { exportJWK, generateKeyPair } from 'jose'
import Provider, { type Adapter, type Configuration } from 'oidc-provider'
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

/** Who the tokens are for: each protected service has a name of its own. */
export const audiences = { countries: 'https://countries.example', customers: 'https://customers.example' } as const

const tokenLifetimeSeconds = 3600

export interface AuthorizationServer extends Running {
  /** How many tokens a client has asked for so far. */
  tokensAskedBy(client: ClientName): number
}

/** Starts oidc-provider, a certified OpenID Connect server, on a free port. */
export async function startAuthorizationServer(): Promise<AuthorizationServer> {
  const asked: string[] = []
  let callback: ReturnType<Provider['callback']> | undefined
  const server = createServer((request, response) => void callback?.(request, response))
  const running = await listen(server)
  const provider = new Provider(running.url, await configure())
  provider.on('grant.success', (context) => asked.push(context.oidc.client?.clientId ?? ''))
  callback = provider.callback()
  return { ...running, tokensAskedBy: (client) => asked.filter((name) => name === client).length }
}

async function configure(): Promise<Configuration> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const key = { ...(await exportJWK(privateKey)), kid: 'demo', alg: 'RS256', use: 'sig' }
  return {
    adapter: () => nothingStored,
    jwks: { keys: [key] } as NonNullable<Configuration['jwks']>,
    scopes,
    clients: Object.entries(clients).map(([id, secret]) => ({
      client_id: id,
      client_secret: secret,
      scope: mayAskFor[id as ClientName],
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    ttl: { ClientCredentials: tokenLifetimeSeconds },
    features: {
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
