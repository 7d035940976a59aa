import { GatewayError } from '../base/errors.ts'
import { isUsable, type PublicKey, readPublicKey, type UnusableKey } from './public-key.ts'

/** What a key set needs of its authorization server. */
export interface KeySetServer {
  readonly name: string
  endpoint(which: 'jwks_uri'): Promise<string>
  readonly http: {
    fetch(
      url: string,
      init?: { readonly headers?: Record<string, string> },
    ): Promise<{ readonly status: number; text(): Promise<string> }>
  }
}

/** More keys than any server has, and few enough to look through for each token. */
export const mostKeys = 100
/** More than a hundred large keys with their certificates. */
const mostCharacters = 1024 * 1024

/**
 * Fetches the server's JWK set and gives the keys that may verify signatures; the others are left out. Those that are
 * `known` already are given back as the same objects.
 * @throws {GatewayError} what the server's HTTP client throws, or `authorization_server_invalid_response`
 * @see https://www.rfc-editor.org/rfc/rfc7517#section-5
 */
export async function fetchKeys(server: KeySetServer, known: readonly PublicKey[]): Promise<readonly PublicKey[]> {
  const url = await server.endpoint('jwks_uri')
  const response = await server.http.fetch(url, { headers: { accept: 'application/jwk-set+json, application/json' } })
  if (response.status !== 200) throw invalid(`the key set was answered with status ${response.status}`)
  const text = await response.text()
  if (text.length > mostCharacters) throw invalid('the key set is too large')
  return keepKnown(readKeys(parse(text)).filter(isUsable), known)
}

/** Keys that have not changed stay what they were, and so does what was made with them. */
export function keepKnown(keys: readonly PublicKey[], known: readonly PublicKey[]): readonly PublicKey[] {
  const byIdentity = new Map(known.map((key) => [key.identity, key]))
  return keys.map((key) => byIdentity.get(key.identity) ?? key)
}

function readKeys(document: unknown): (PublicKey | UnusableKey)[] {
  const keys: unknown =
    typeof document === 'object' && document !== null && 'keys' in document ? document.keys : undefined
  if (!Array.isArray(keys)) throw invalid('the key set has no list of keys')
  if (keys.length > mostKeys) throw invalid(`the key set has more than ${mostKeys} keys`)
  return keys.map(readPublicKey)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalid('the key set is not JSON')
  }
}

function invalid(reason: string): GatewayError {
  return new GatewayError('authorization_server_invalid_response', { reason })
}
