import { GatewayError } from '../base/errors.ts'
import type { PublicKey } from './public-key.ts'
import { type PublicKeyList, readPublicKeys } from './public-key-list.ts'
import { retryAfterSeconds } from './token-refusal.ts'

/** What a key set needs of its authorization server. */
export interface KeySetServer {
  readonly name: string
  endpoint(which: 'jwks_uri', wish?: { readonly anew?: boolean }): Promise<string>
  readonly http: {
    fetch(
      url: string,
      init?: { readonly headers?: Record<string, string> },
    ): Promise<{
      readonly status: number
      readonly headers: { get(name: string): string | null }
      text(): Promise<string>
    }>
  }
}

/** More keys than any server has, and few enough to look through for each token. */
export const mostKeys = 100

/** What a fetch goes by. */
export interface KeyFetch {
  /** The keys that there are already. */
  readonly known: readonly PublicKey[]
  /** True: the server may have its keys elsewhere by now. */
  readonly elsewhere: boolean
  /** Milliseconds since the epoch. */
  readonly now: number
}

/**
 * Fetches the server's JWK set and gives the keys that may verify signatures, and why the others are left out. Those that are
 * `known` already are given back as the same objects.
 * @throws {GatewayError} what the server's HTTP client throws, or `authorization_server_invalid_response`
 * @see https://www.rfc-editor.org/rfc/rfc7517#section-5
 */
export async function fetchKeys(server: KeySetServer, { known, elsewhere, now }: KeyFetch): Promise<PublicKeyList> {
  const url = await server.endpoint('jwks_uri', { anew: elsewhere })
  const response = await server.http.fetch(url, { headers: { accept: 'application/jwk-set+json, application/json' } })
  if (response.status !== 200)
    throw refusal(response.status, retryAfterSeconds(response.headers.get('retry-after'), now))
  const list = readKeys(parse(await response.text()))
  return { ...list, keys: keepKnown(list.keys, known) }
}

/** Keys that have not changed stay what they were, and so does what was made with them. */
export function keepKnown(keys: readonly PublicKey[], known: readonly PublicKey[]): readonly PublicKey[] {
  const byIdentity = new Map(known.map((key) => [key.identity, key]))
  return keys.map((key) => byIdentity.get(key.identity) ?? key)
}

function readKeys(document: unknown): PublicKeyList {
  const keys: unknown =
    typeof document === 'object' && document !== null && 'keys' in document ? document.keys : undefined
  if (!Array.isArray(keys)) throw invalid('the key set has no list of keys')
  if (keys.length > mostKeys) throw invalid(`the key set has more than ${mostKeys} keys`)
  return readPublicKeys(keys)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalid('the key set is not JSON')
  }
}

/** A server that has too much to do is left alone for as long as it wants. */
function refusal(status: number, retryAfter: number): GatewayError {
  const reason = `the key set was answered with status ${status}`
  if (status < 500 && status !== 429) return invalid(reason)
  return new GatewayError('authorization_server_unavailable', { reason, retryAfterSeconds: retryAfter })
}

function invalid(reason: string): GatewayError {
  return new GatewayError('authorization_server_invalid_response', { reason })
}
