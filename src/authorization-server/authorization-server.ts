import { z } from 'zod'
import type { ClientCertificate } from '../base/client-certificate.ts'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { isPlainHttp } from '../base/plain-http.ts'
import { certificates, duration, flag, httpUrl, oneOf, oneOrMore, ruleOverMap, text } from '../base/scalars.ts'
import { createCertificateClients } from './certificate-clients.ts'
import { createHttpClient, type HttpClient } from './http-client.ts'
import { createMetadataSource, type Metadata } from './metadata.ts'
import { presetNames } from './presets/index.ts'
import { staticKeys } from './static-key-set.ts'

const urls = ['issuer', 'discovery_url', 'token_endpoint', 'jwks_uri', 'registration_endpoint'] as const

/** How an authorization server is reached. */
const reached = z.strictObject({
  preset: oneOf(...presetNames)
    .optional()
    .describe('defaults for a product, for the server and its clients; `scopegate presets` lists them'),
  issuer: httpUrl().optional().describe('the rest is discovered from it (RFC 8414, then OpenID Connect)'),
  discovery_url: httpUrl().optional().describe('where the metadata is, if the issuer cannot be reached itself'),
  token_endpoint: httpUrl().optional().describe('wins over what is discovered'),
  jwks_uri: httpUrl().optional().describe('wins over what is discovered'),
  registration_endpoint: httpUrl()
    .optional()
    .describe('where clients register themselves (RFC 7591); wins over what is discovered'),
  jwks: staticKeys().optional(),
  mtls_endpoint_aliases: z
    .strictObject({
      token_endpoint: httpUrl()
        .refine((url) => !/^http:/i.test(url), 'is plain http, where no certificate can be presented; use https')
        .describe('for clients that present a certificate (RFC 8705); wins over what is discovered'),
    })
    .optional(),
  allow_http: flag().prefault(false).describe('true: the server may be reached without TLS, beyond loopback too'),
  tls: z.strictObject({ ca: certificates().describe('PEM, added to the roots that Node trusts') }).optional(),
  timeout: duration().prefault('5s').describe('for each request to it'),
  client_errors: oneOrMore(text())
    .optional()
    .describe('error codes by which its token endpoint refuses a credential, beside `invalid_client`'),
})

/** A server's options, with those that other rooms add. A rule over several keys is told beside every other fault. */
export function authorizationServerOptions<Shape extends z.ZodRawShape>(more: Shape) {
  const schema = reached.extend(more)
  const rules = urls.map((key) => (given: Readonly<Record<string, unknown>>) => {
    const url = given[key]
    return typeof url !== 'string' || given.allow_http === true || !isPlainHttp(url)
  })
  return urls.reduce(
    (current, key, index) =>
      current.refine((given) => rules[index]?.(given) ?? false, {
        ...ruleOverMap,
        path: [key],
        message: 'is reached over plain http; use https, or write allow_http: true beside it',
      }),
    schema
      .refine((given) => ['issuer', 'token_endpoint', 'jwks'].some((key) => Object.hasOwn(given, key)), {
        ...ruleOverMap,
        message: 'has neither issuer nor token_endpoint; give it its issuer',
      })
      .refine((given: Readonly<Record<string, unknown>>) => !String(given.issuer).includes('/.well-known/'), {
        ...ruleOverMap,
        path: ['issuer'],
        message: 'is where its metadata is: that is discovery_url; the issuer is the `issuer` that stands in there',
      })
      .refine((given) => !(Object.hasOwn(given, 'jwks') && Object.hasOwn(given, 'jwks_uri')), {
        ...ruleOverMap,
        path: ['jwks_uri'],
        message: 'stands beside jwks, and would never be asked; keep one of them',
      })
      .refine((given) => Object.hasOwn(given, 'issuer') || !Object.hasOwn(given, 'discovery_url'), {
        ...ruleOverMap,
        path: ['discovery_url'],
        message: 'is of no use without issuer, which the metadata found there must name',
      }),
  )
}

export type AuthorizationServerOptions = z.output<typeof reached>

export type Endpoint = 'token_endpoint' | 'jwks_uri' | 'registration_endpoint'

export interface EndpointWish {
  /** Given: the endpoint for clients that present a certificate, where the server has one of its own for them. */
  readonly certificate?: ClientCertificate | undefined
  /** True: what was discovered before did not serve, so it is discovered again first. */
  readonly anew?: boolean | undefined
}

/** An authorization server, as both wings ask it. */
export interface AuthorizationServer {
  readonly name: string
  readonly issuer: string | undefined
  /** What tells it from any other server, as configured. */
  readonly identity: string
  /** The error codes that find fault with a client and not with its request. */
  readonly clientErrors: readonly string[]
  readonly http: HttpClient
  readonly clock: Clock
  /**
   * Where to ask: as configured, or else as discovered.
   * @throws {GatewayError} `authorization_server_unavailable` or `authorization_server_invalid_response`
   */
  endpoint(which: Endpoint, wish?: EndpointWish): Promise<string>
  /** The same, as configured or as discovered already: nobody is asked, and whether it may be used is not looked at. */
  known(which: Endpoint, wish?: EndpointWish): string | undefined
  /**
   * A URL that the server itself has named as its own, if it may be asked there.
   * @throws {GatewayError} `authorization_server_invalid_response`; `what` it is called there
   */
  requireReachable(what: string, url: string): string
  /** The one that presents the certificate, which may change meanwhile; without a certificate, `http`. */
  httpWith(certificate: ClientCertificate | undefined): HttpClient
  close(): Promise<void>
}

export function createAuthorizationServer(
  name: string,
  options: AuthorizationServerOptions,
  { clock }: { readonly clock: Clock },
): AuthorizationServer {
  const connection = { ca: options.tls?.ca, timeout: options.timeout }
  const http = createHttpClient(connection)
  const certified = createCertificateClients(connection)
  const { issuer } = options
  const metadata =
    issuer === undefined
      ? undefined
      : createMetadataSource({ issuer, discovery_url: options.discovery_url }, http, clock)
  const requireReachable = (what: string, url: string) => {
    if (!/^https?:/i.test(url)) throw invalid(`the ${what} of ${name} is neither https nor http`)
    if (!options.allow_http && isPlainHttp(url)) throw invalid(`the ${what} of ${name} is reached over plain http`)
    return url
  }
  const configured = (which: Endpoint, { certificate }: EndpointWish) => {
    const alias = certificate && which === 'token_endpoint' ? options.mtls_endpoint_aliases?.token_endpoint : undefined
    return alias ?? options[which]
  }
  return {
    name,
    issuer,
    identity: JSON.stringify([
      name,
      issuer,
      options.discovery_url,
      options.token_endpoint,
      options.mtls_endpoint_aliases,
    ]),
    // The one of RFC 6749 section 5.2, and whatever this server says in its place.
    clientErrors: ['invalid_client', ...(options.client_errors ?? [])],
    http,
    clock,
    known: (which, wish = {}) => configured(which, wish) ?? discovered(metadata?.known(), which, wish),
    async endpoint(which, wish = {}) {
      const { certificate } = wish
      const url = configured(which, wish) ?? discovered(await metadata?.get(wish), which, wish)
      if (url === undefined) throw invalid(`${name} has no ${which}`)
      requireReachable(which, url)
      if (certificate && new URL(url).protocol !== 'https:')
        throw invalid(`the ${which} of ${name} is reached over plain http, where no certificate can be presented`)
      return url
    },
    requireReachable,
    httpWith: (certificate) => (certificate ? certified.get(certificate) : http),
    async close() {
      await Promise.all([http.close(), certified.close()])
    },
  }
}

function discovered(metadata: Metadata | undefined, which: Endpoint, { certificate }: EndpointWish) {
  const alias = certificate && which === 'token_endpoint' ? metadata?.mtls_endpoint_aliases?.token_endpoint : undefined
  return alias ?? metadata?.[which]
}

function invalid(reason: string): GatewayError {
  return new GatewayError('authorization_server_invalid_response', { reason })
}
