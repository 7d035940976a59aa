import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLocalJWKSet, decodeProtectedHeader } from 'jose'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { audiences, startAuthorizationServer } from '../authorization-server.ts'
import { type Gateway, startGateway } from '../gateway.ts'
import { type Parts, startParts } from '../parts.ts'
import { startCountriesApi } from '../services.ts'
import { fromFile, type MethodClient, methodEntries } from './entries.ts'
import { certificateFile, createMutualTlsServer, mutualTls, peerCertificate } from './mutual-tls.ts'

/** A client of the demo that authenticates by a method of its own. */
export interface MethodDemo extends MethodClient {
  /** The method, and the name of its client in the configuration. */
  readonly name: string
  readonly clientId: string
  /** The client as the configuration has it. */
  readonly yaml: readonly string[]
}

export interface MethodsStage {
  readonly gateway: Gateway
  readonly demos: readonly MethodDemo[]
  readonly configFile: string
  /** What the authorization server saw of a client's credential. */
  credentialSeen(clientId: string): string | undefined
  stop(): Promise<void>
}

/**
 * An authorization server over TLS, an API, and one gateway with a client for each of these methods.
 * @throws {Error} for a method that the demo knows no client for
 */
export function setMethodsStage(names: readonly string[]): Promise<MethodsStage> {
  return startParts((parts) => startAll(parts, names))
}

async function startAll({ folder, running }: Parts, names: readonly string[]): Promise<Omit<MethodsStage, 'stop'>> {
  const demos = names.map((name) => prepare(name, folder))
  const seen = new Map<string | undefined, string>()
  const authorizationServer = running(
    await startAuthorizationServer({
      tlsServer: createMutualTlsServer(),
      clients: demos.map(({ name, clientId, registered }) => ({
        client_id: clientId,
        token_endpoint_auth_method: name as 'none',
        scope: 'country.read',
        ...registered,
      })),
      configuration: {
        clientAuthMethods: methodsOfServer,
        enabledJWA: { clientAuthSigningAlgValues: ['HS256', 'ES256', 'ES384'] },
        features: mutualTls,
      },
      onToken: (context) => void seen.set(context.oidc.client?.clientId, describeCredential(context)),
    }),
  )
  const issuer = authorizationServer.url
  const countries = running(
    await startCountriesApi(issuer, createLocalJWKSet({ keys: [authorizationServer.publicKey] })),
  )
  for (const { begin } of demos) await begin?.(issuer)
  const configFile = join(folder, 'scopegate.yaml')
  writeFileSync(configFile, methodsYaml(issuer, countries.url, demos))
  const environment = Object.assign({}, ...demos.map((demo) => demo.environment)) as Record<string, string>
  const gateway = running(await startGateway(configFile, environment))
  return { gateway, demos, configFile, credentialSeen: (clientId) => seen.get(clientId) }
}

const methodsOfServer = [
  'client_secret_basic' as const,
  'client_secret_post' as const,
  'client_secret_jwt' as const,
  'private_key_jwt' as const,
  'tls_client_auth' as const,
  'self_signed_tls_client_auth' as const,
  'none' as const,
]

function prepare(name: string, folder: string): MethodDemo {
  const entry = Object.entries(methodEntries).find(([known]) => known === name)?.[1]
  if (!entry) throw new Error(`the method ${name} has no client in demo/methods/entries.ts`)
  const clientId = `legacy-${name.replaceAll('_', '-')}`
  const client = entry({ clientId, folder, variable: `${name.toUpperCase()}_SECRET` })
  const keys = [
    'authorization_server: demo',
    `client_id: ${clientId}`,
    `token_endpoint_auth_method: ${name}`,
    ...client.written,
  ]
  return { ...client, name, clientId, yaml: ['clients:', `  ${name}:`, ...keys.map((line) => `    ${line}`)] }
}

/** One legacy listener; the first segment of the path says whose token goes out. */
function methodsYaml(issuer: string, countries: string, demos: readonly MethodDemo[]): string {
  return `listeners:
  legacy: { address: "127.0.0.1:0" }

authorization_servers:
  demo:
    issuer: ${issuer}
    tls: { ca: ${fromFile(certificateFile('ca.pem'))} }

clients:
${demos.flatMap(({ yaml }) => yaml.slice(1)).join('\n')}

routes:
${demos.map(({ name }) => routeYaml(name, countries)).join('\n')}
`
}

function routeYaml(name: string, countries: string): string {
  return `  - path: /${name}/**
    callers: { networks: [loopback] }
    token: { client: ${name}, scopes: [country.read], resource: ${audiences.countries} }
    upstream: { url: ${countries}, strip_prefix: /${name} }`
}

/** What a token request proved itself with, without telling it. */
function describeCredential(context: KoaContextWithOIDC): string {
  const certificate = peerCertificate(context)
  const { client_secret: secret, client_assertion: assertion } = Object(context.oidc.body)
  if (context.get('authorization').startsWith('Basic ')) return 'Authorization: Basic …'
  if (secret !== undefined) return 'client_secret=… in the form'
  if (typeof assertion === 'string') {
    const { alg, typ = 'none' } = decodeProtectedHeader(assertion)
    return `an assertion, ${alg}, typ ${typ}`
  }
  return certificate ? `a TLS certificate, ${certificate.subject}` : 'nothing but its client_id'
}
