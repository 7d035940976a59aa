import { isIP } from 'node:net'
import { z } from 'zod'
import {
  type ClientCertificate,
  clientCertificateOptions,
  createClientCertificate,
} from '../base/client-certificate.ts'
import { faultRule, type OptionFault } from '../base/fault-rule.ts'
import { foldHeaderName, hopByHopHeaders, isProxyHeader } from '../base/header-lists.ts'
import { keyFaultOf } from '../base/private-key.ts'
import {
  certificates,
  claimPath,
  duration,
  flag,
  httpUrl,
  oneOf,
  parsedText,
  sizeOrNone,
  text,
} from '../base/scalars.ts'
import type { Secret } from '../base/secret.ts'
import { isHeaderName } from './header-names.ts'
import { mostKeptBytes } from './kept-body.ts'

const timeouts = z
  .strictObject({
    connect: duration().prefault('2s').describe('until connected, TLS included'),
    response: duration().prefault('30s').describe("from the last byte of the request to the answer's headers"),
    idle: duration().prefault('60s').describe('silence either way while bodies are sent'),
  })
  .prefault({})

const url = () =>
  httpUrl('http://orders:8080').refine(
    (value) => !value.includes('?'),
    "must have no query: it would be lost, or mixed with the caller's",
  )

const pathPrefix = () =>
  parsedText<string>('a path such as /v2: ASCII, without a slash at its end, without dot segments', (given) =>
    /^(\/(?!(\.|%2e){1,2}(\/|$))[!-.0->@-[\]-~]+)+$/i.test(given) && !given.includes('#') ? given : undefined,
  )

interface UpstreamCertificate {
  readonly certificate?: Secret | undefined
  readonly private_key?: Secret | undefined
  readonly private_key_passphrase?: Secret | undefined
}

function findCertificateFault(given: UpstreamCertificate): OptionFault | undefined {
  if ((given.certificate === undefined) !== (given.private_key === undefined))
    return given.certificate
      ? { path: ['certificate'], message: 'has no private_key beside it, without which it cannot be presented' }
      : { path: ['private_key'], message: 'has no certificate beside it, to which it belongs' }
  return keyFaultOf(() => upstreamCertificate(given))
}

/** The certificate that is presented to an upstream by its own configuration. @throws {KeyFault} */
export function upstreamCertificate(tls: UpstreamCertificate | undefined): ClientCertificate | undefined {
  return tls?.certificate && tls.private_key
    ? createClientCertificate({ ...tls, certificate: tls.certificate, private_key: tls.private_key })
    : undefined
}

const upstreamBlock = z.strictObject({
  url: url().describe('where the requests go; a path in it is put before theirs'),
  strip_prefix: pathPrefix().optional().describe('the beginning of the path that is dropped'),
  add_prefix: pathPrefix().optional().describe('put before the path afterwards'),
  host: oneOf('upstream', 'preserve').prefault('upstream').describe("which Host it gets: its own, or the caller's"),
  rewrite_location: flag()
    .prefault(true)
    .describe('whether its own URLs in Location and Content-Location become ones that lead to the gateway again'),
  allow_http: flag().prefault(false).describe('true: a token may go out to it without TLS'),
  timeouts,
  replay_body: sizeOrNone()
    .refine((bytes) => bytes <= mostKeptBytes, 'is more than the 32MiB that all kept bodies of the process may have')
    .prefault('16KiB')
    .describe('up to this size a body is kept, to be sent again when the token was refused; or none'),
  tls: z
    .strictObject({
      ca: certificates().optional().describe('PEM, added to the roots that Node trusts'),
      server_name: text().optional().describe('the name that its certificate has, where it is not that of the URL'),
      certificate: clientCertificateOptions.certificate.optional(),
      private_key: clientCertificateOptions.private_key.optional(),
      private_key_passphrase: clientCertificateOptions.private_key_passphrase,
    })
    .check(faultRule(Object.keys(clientCertificateOptions), findCertificateFault))
    .optional(),
})

/** Where a route's requests go: a URL, or a map with more to say. A URL alone is a map of defaults. */
export const upstreamOptions = z.union([upstreamBlock, url().transform((given) => upstreamBlock.parse({ url: given }))])

export type UpstreamOptions = z.output<typeof upstreamBlock>

/** Headers that no claim can stand in: they frame, route or authenticate the request. */
const taken: ReadonlySet<string> = new Set([
  ...hopByHopHeaders,
  'authorization',
  'content-length',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  foldHeaderName('__proto__'),
])

/** A header that the gateway may set. */
const identityHeaderName = z
  .string()
  .refine(isHeaderName, 'is no header name: letters, digits and "-"')
  .refine((name) => !taken.has(foldHeaderName(name)) && !isProxyHeader(foldHeaderName(name)), {
    error:
      'cannot be an identity header, because HTTP or the gateway itself needs it: choose another, such as X-Client-Id',
  })

/** Header name to claim path, the same on the whole configuration and on one route. */
export const identityHeadersOption = z
  .record(identityHeaderName, claimPath())
  .refine((headers) => Object.keys(headers).length > 0, 'is an empty map: name at least one header, or remove the key')
  .refine(
    (headers) => new Set(Object.keys(headers).map(foldHeaderName)).size === Object.keys(headers).length,
    'names one header in two spellings that servers take for one',
  )

/** What a route says about forwarding. */
export const proxyRouteOptions = {
  upstream: upstreamOptions,
  identity_headers: identityHeadersOption.optional().describe("claims of the caller's token, told to the upstream"),
  forward_authorization: flag()
    .optional()
    .describe("false: the caller's Authorization is not passed on; default true, on token routes always false"),
  forwarded_headers: flag()
    .optional()
    .describe('whether the upstream is told where a request came from; default true, on token routes false'),
  end_at_token_expiry: flag()
    .optional()
    .describe(
      "with require: whether an upgraded connection (WebSocket) ends when its caller's token expires; default true",
    ),
  upstream_401: oneOf('replace', 'pass')
    .optional()
    .describe(
      'what becomes of an upstream that refuses the token: default `replace`, another token and 502 if that does not help; `pass`, the caller gets its 401',
    ),
}

/** The name that TLS verifies, and says in the open; an address has none to say. */
export function tlsServerName(options: UpstreamOptions): string {
  const { hostname } = new URL(options.url)
  const address = hostname.replace(/^\[|\]$/g, '')
  return options.tls?.server_name ?? (isIP(address) ? '' : hostname)
}
