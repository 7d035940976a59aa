import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { clientAuthMethods } from '../../src/authorization-server/client-auth/index.ts'

export type MethodName = (typeof clientAuthMethods)[number]['name']

export const methodNames: readonly MethodName[] = clientAuthMethods.map(({ name }) => name)

export const usage = `npm run interop -- --issuer URL --client ID [options]

The server
  --issuer URL               as it stands in the tokens
  --discovery-url URL        where its metadata is, if the issuer cannot be reached itself
  --preset NAME              what is peculiar to the product: keycloak, spring-authorization-server, …
  --ca-file FILE             an authority for its TLS certificate, beside the system's
  --name TEXT                what the table calls it; by default its issuer
The client: each of these may begin with a method (--client private_key_jwt=billing), and then counts for that method alone
  --client ID
  --secret-file FILE         for client_secret_basic, client_secret_post, client_secret_jwt
  --key-file FILE            for private_key_jwt; --key-id ID if the server wants a kid
  --certificate-file FILE --certificate-key-file FILE   for tls_client_auth, self_signed_tls_client_auth
  --assertion-file FILE      for client_assertion: the workload's own JWT
What is tried
  --scope "SCOPE …"          asked for, and required of the token that comes; by default none
  --resource URI             asked for (RFC 8707)
  --audience TEXT            what the token must be meant for; by default anything
  --methods NAME,NAME        these alone; by default all that the server offers and there is a credential for`

const text = { type: 'string' } as const
const perMethod = { type: 'string', multiple: true, default: [] as string[] } as const

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      ...{ issuer: text, 'discovery-url': text, preset: text, 'ca-file': text, name: text },
      ...{ scope: text, resource: text, audience: text, methods: text },
      ...{ client: perMethod, 'secret-file': perMethod, 'key-file': perMethod, 'key-id': perMethod },
      ...{ 'certificate-file': perMethod, 'certificate-key-file': perMethod, 'assertion-file': perMethod },
    },
  }).values
}

type Values = ReturnType<typeof parse>
type PerMethod = { [Name in keyof Values]-?: Values[Name] extends string[] ? Name : never }[keyof Values]

export interface Options extends Values {
  readonly issuer: string
}

/** @throws {TypeError} for options that say no server, no client, or a method that there is not */
export function readOptions(args: readonly string[]): Options {
  const values = parse(args)
  const { issuer, methods = '' } = values
  if (issuer === undefined || values.client.length === 0) throw new TypeError('--issuer and --client are needed')
  const unknown = methods.split(',').filter((name) => name !== '' && !methodNames.some((known) => known === name))
  if (unknown.length > 0) throw new TypeError(`there is no method ${unknown.join(', ')}`)
  return { ...values, issuer }
}

/** The value that was given for this method, or else for all of them. */
function valueFor(values: readonly string[], method: MethodName): string | undefined {
  const own = values.find((value) => value.startsWith(`${method}=`))
  if (own !== undefined) return own.slice(method.length + 1)
  return values.findLast((value) => !methodNames.some((name) => value.startsWith(`${name}=`)))
}

/** Which options a method cannot do without. */
const needs: Readonly<Record<MethodName, readonly PerMethod[]>> = {
  client_secret_basic: ['secret-file'],
  client_secret_post: ['secret-file'],
  client_secret_jwt: ['secret-file'],
  private_key_jwt: ['key-file'],
  tls_client_auth: ['certificate-file', 'certificate-key-file'],
  self_signed_tls_client_auth: ['certificate-file', 'certificate-key-file'],
  client_assertion: ['assertion-file'],
  none: [],
}

/** What a server's metadata calls the methods that it does not know by their own name. */
const offeredAs: Readonly<Partial<Record<MethodName, MethodName>>> = { client_assertion: 'private_key_jwt' }

/** Why a method is not tried, if it is not. `offered` is `token_endpoint_auth_methods_supported` of the server. */
export function reasonToSkip(method: MethodName, options: Options, offered: readonly string[]): string | undefined {
  const { methods } = options
  if (methods !== undefined && !methods.split(',').includes(method)) return 'not among --methods'
  const offer = offeredAs[method] ?? method
  if (!offered.includes(offer)) return 'the server does not offer it'
  // No client is without a credential by accident.
  if (method === 'none' && !options.client.some((value) => value.startsWith('none=')))
    return 'no --client none=ID given'
  if (valueFor(options.client, method) === undefined) return `no --client ${method}=ID given`
  const missing = needs[method].filter((name) => valueFor(options[name], method) === undefined)
  return missing.length > 0 ? `no ${missing.map((name) => `--${name}`).join(' and ')} given` : undefined
}

const fromFile = (file: string | undefined) => (file === undefined ? undefined : `\${file:${resolve(file)}}`)

/** The client of a method, as a configuration has it. */
export function clientOf(method: MethodName, options: Options): Readonly<Record<string, unknown>> {
  const { scope, resource } = options
  const value = (name: PerMethod) => valueFor(options[name], method)
  const secret = () => ({ client_secret: fromFile(value('secret-file')) })
  const tls = () => ({
    tls: {
      certificate: fromFile(value('certificate-file')),
      private_key: fromFile(value('certificate-key-file')),
    },
  })
  const credentials: Readonly<Record<MethodName, () => object>> = {
    client_secret_basic: secret,
    client_secret_post: secret,
    client_secret_jwt: secret,
    private_key_jwt: () => ({ private_key: fromFile(value('key-file')), key_id: value('key-id') }),
    tls_client_auth: tls,
    self_signed_tls_client_auth: tls,
    client_assertion: () => ({ client_assertion: fromFile(value('assertion-file')) }),
    none: () => ({ allow_unauthenticated_client: true }),
  }
  return { client_id: value('client'), token_endpoint_auth_method: method, scope, resource, ...credentials[method]() }
}

/** The server, as a configuration has it. Plain http is for servers that somebody tries on a machine of their own. */
export function serverOf(options: Options): Readonly<Record<string, unknown>> {
  const { issuer, preset, audience = 'any' } = options
  const discoveryUrl = options['discovery-url']
  const ca = fromFile(options['ca-file'])
  return {
    issuer,
    preset,
    discovery_url: discoveryUrl,
    allow_http: [issuer, discoveryUrl].some((url) => url?.startsWith('http:')),
    ...(ca !== undefined && { tls: { ca } }),
    access_tokens: { audience },
  }
}
