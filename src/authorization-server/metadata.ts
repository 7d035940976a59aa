import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import type { HttpClient } from './http-client.ts'

/** As much of an authorization server's metadata as is used. @see https://www.rfc-editor.org/rfc/rfc8414#section-2 */
export interface Metadata {
  readonly issuer: string
  readonly token_endpoint?: string
  readonly jwks_uri?: string
  /** Where clients with a certificate go instead. @see https://www.rfc-editor.org/rfc/rfc8705#section-5 */
  readonly mtls_endpoint_aliases?: { readonly token_endpoint?: string }
}

export interface MetadataOptions {
  readonly issuer: string
  readonly discovery_url?: string | undefined
}

export interface MetadataSource {
  /**
   * The server's metadata: discovered at the first need, kept for an hour, and for longer while the server is away.
   * @throws {GatewayError} `authorization_server_unavailable` or `authorization_server_invalid_response`
   */
  get(): Promise<Metadata>
  /** What has been discovered so far. */
  known(): Metadata | undefined
}

const keptFor = 3_600_000
/** So long a failure is the answer to everybody who asks: no storm of discoveries. */
const failureKeptFor = 1000

export function createMetadataSource(options: MetadataOptions, http: HttpClient, clock: Clock): MetadataSource {
  let known: { metadata: Metadata; at: number } | undefined
  let failed: { error: unknown; at: number } | undefined
  let running: Promise<Metadata> | undefined

  function discoverOnce(): Promise<Metadata> {
    running ??= discover(options, http)
      .then((metadata) => {
        known = { metadata, at: clock.elapsed() }
        failed = undefined
        return metadata
      })
      .catch((error: unknown) => {
        failed = { error, at: clock.elapsed() }
        throw error
      })
      .finally(() => {
        running = undefined
      })
    return running
  }

  return {
    known: () => known?.metadata,
    get() {
      if (failed && clock.elapsed() - failed.at < failureKeptFor)
        return known ? Promise.resolve(known.metadata) : Promise.reject(failed.error)
      if (!known) return discoverOnce()
      if (clock.elapsed() - known.at > keptFor) discoverOnce().catch(() => {})
      return Promise.resolve(known.metadata)
    },
  }
}

/** RFC 8414 first, then OpenID Connect Discovery; or the one URL that is configured. */
async function discover({ issuer, discovery_url: url }: MetadataOptions, http: HttpClient): Promise<Metadata> {
  const urls = url === undefined ? wellKnownUrls(issuer) : [url]
  let missing = ''
  for (const candidate of urls) {
    const response = await http.fetch(candidate, { headers: { accept: 'application/json' } })
    const document = response.status === 200 ? parse(await response.text()) : undefined
    if (document) return readMetadata(document, issuer)
    if (response.status >= 500 || response.status === 429)
      throw new GatewayError('authorization_server_unavailable', {
        reason: `discovery was answered with ${response.status}`,
        retryAfterSeconds: 1,
      })
    // Not there, or a page that is shown for every unknown path.
    missing = `discovery at ${withoutQuery(candidate)} was answered with ${response.status}${response.ok ? ', and no JSON object' : ''}`
  }
  throw invalid(missing)
}

/** For the log: a query may hold a key. */
function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname
}

/** @see https://www.rfc-editor.org/rfc/rfc8414#section-3.1 */
function wellKnownUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ]
}

function readMetadata(document: Record<string, unknown>, issuer: string): Metadata {
  // Another issuer's document would bring another issuer's keys and endpoints (RFC 8414 section 3.3).
  if (document.issuer !== issuer)
    throw invalid(
      `the metadata is of the issuer ${JSON.stringify(document.issuer)?.slice(0, 200)}, and not of ${issuer}`,
    )
  const { mtls_endpoint_aliases: aliases } = document
  return {
    issuer,
    ...readEndpoint(document, 'token_endpoint'),
    ...readEndpoint(document, 'jwks_uri'),
    ...(isRecord(aliases) && { mtls_endpoint_aliases: readEndpoint(aliases, 'token_endpoint') }),
  }
}

function readEndpoint<Name extends string>(document: Record<string, unknown>, name: Name): { [N in Name]?: string } {
  const url = document[name]
  return typeof url === 'string' && URL.canParse(url) ? ({ [name]: url } as { [N in Name]?: string }) : {}
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const document: unknown = JSON.parse(text)
    return isRecord(document) ? document : undefined
  } catch {
    return undefined
  }
}

function invalid(reason: string): GatewayError {
  return new GatewayError('authorization_server_invalid_response', { reason })
}
