import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { type HttpClient, TransportFault } from './http-client.ts'
import { retryAfterSeconds } from './token-refusal.ts'

/** As much of an authorization server's metadata as is used. @see https://www.rfc-editor.org/rfc/rfc8414#section-2 */
export interface Metadata {
  readonly issuer: string
  readonly token_endpoint?: string
  readonly jwks_uri?: string
  readonly registration_endpoint?: string
  /** Where clients with a certificate go instead. @see https://www.rfc-editor.org/rfc/rfc8705#section-5 */
  readonly mtls_endpoint_aliases?: { readonly token_endpoint?: string }
}

export interface MetadataOptions {
  readonly issuer: string
  readonly discovery_url?: string | undefined
}

export interface MetadataSource {
  /**
   * The server's metadata: discovered at the first need, kept for an hour, and for longer while the server is away. `anew`:
   * what is kept is in doubt, so it is discovered first, and counts only if that fails.
   * @throws {GatewayError} `authorization_server_unavailable` or `authorization_server_invalid_response`
   */
  get(options?: { readonly anew?: boolean | undefined }): Promise<Metadata>
  /** What has been discovered so far. */
  known(): Metadata | undefined
}

const keptFor = 3_600_000
/** So long a failure is the answer to everybody who asks, or as long as the server wants it: no storm of discoveries. */
const failureKeptFor = 1000

export function createMetadataSource(options: MetadataOptions, http: HttpClient, clock: Clock): MetadataSource {
  let known: { metadata: Metadata; at: number } | undefined
  let failed: { error: unknown; until: number } | undefined
  let running: Promise<Metadata> | undefined

  function discoverOnce(): Promise<Metadata> {
    running ??= discover(options, http, clock)
      .then((metadata) => {
        known = { metadata, at: clock.elapsed() }
        failed = undefined
        return metadata
      })
      .catch((error: unknown) => {
        failed = { error, until: clock.elapsed() + Math.max(failureKeptFor, pauseOf(error)) }
        throw error
      })
      .finally(() => {
        running = undefined
      })
    return running
  }

  return {
    known: () => known?.metadata,
    get({ anew = false } = {}) {
      const left = failed ? failed.until - clock.elapsed() : 0
      if (failed && left > 0)
        return known ? Promise.resolve(known.metadata) : Promise.reject(withPause(failed.error, left))
      if (!known) return discoverOnce()
      const { metadata } = known
      if (anew) return discoverOnce().catch(() => metadata)
      if (clock.elapsed() - known.at > keptFor) discoverOnce().catch(() => {})
      return Promise.resolve(metadata)
    },
  }
}

/** For how long a failure wants nobody to ask again, in milliseconds. */
export function pauseOf(error: unknown): number {
  return error instanceof GatewayError ? (error.options.retryAfterSeconds ?? 0) * 1000 : 0
}

/** The failure, with what is left of its pause. */
function withPause(error: unknown, left: number): unknown {
  if (pauseOf(error) <= failureKeptFor || !(error instanceof GatewayError)) return error
  return new GatewayError(error.code, { ...error.options, retryAfterSeconds: Math.ceil(left / 1000) })
}

/**
 * RFC 8414 first, then OpenID Connect Discovery; or the one URL that is configured. What is wrong at the one place does not
 * speak for the other; a host that cannot be reached does.
 */
async function discover({ issuer, discovery_url: url }: MetadataOptions, http: HttpClient, clock: Clock) {
  const failures: GatewayError[] = []
  for (const place of url === undefined ? wellKnownUrls(issuer) : [url]) {
    try {
      return await readPlace(place, issuer, http, clock.now())
    } catch (error) {
      if (!(error instanceof GatewayError) || error instanceof TransportFault) throw error
      failures.push(error)
    }
  }
  const worst = failures.reduce((chosen, next) => (gravity(next) > gravity(chosen) ? next : chosen))
  const reasons = [worst, ...failures.filter((failure) => failure !== worst)].map(({ options }) => options.reason)
  throw new GatewayError(worst.code, { ...worst.options, reason: reasons.join('; ') })
}

/** An outage will pass, and the longest one tells when to come back; what is there and will not do tells more than what is not. */
function gravity(error: GatewayError): number {
  if (error instanceof NothingThere) return -1
  return error.code === 'authorization_server_unavailable' ? pauseOf(error) : 0
}

class NothingThere extends GatewayError {}

async function readPlace(url: string, issuer: string, http: HttpClient, now: number): Promise<Metadata> {
  const response = await http.fetch(url, { headers: { accept: 'application/json' } })
  const document = response.status === 200 ? parse(await response.text()) : undefined
  if (document) return readMetadata(document, issuer)
  const answer = `discovery at ${withoutQuery(url)} was answered with ${response.status}`
  if (response.status >= 500 || response.status === 429)
    throw new GatewayError('authorization_server_unavailable', {
      reason: answer,
      retryAfterSeconds: retryAfterSeconds(response.headers.get('retry-after'), now),
    })
  // Not there, or a page that is shown for every unknown path.
  const reason = response.ok ? `${answer}, and no JSON object` : answer
  throw new NothingThere('authorization_server_invalid_response', { reason })
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
    ...readEndpoint(document, 'registration_endpoint'),
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
