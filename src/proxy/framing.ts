import { GatewayError } from '../base/errors.ts'
import { foldHeaderName } from '../base/header-lists.ts'

/** How long a request's body is, in the one way in which it may be said. */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }

/** What is read of a request before anything else is decided. */
export interface RequestHead {
  readonly rawHeaders: readonly string[]
  readonly httpVersion: string
}

/**
 * The framing of a request; what could be read in two ways is refused, for then the next server might end the body
 * elsewhere and take the rest of it for a request of its own (request smuggling).
 * @throws GatewayError `invalid_framing`, `duplicate_header` or `malformed_request`
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-6
 */
export function readFraming(request: RequestHead): Framing {
  if (request.httpVersion !== '1.1' && request.httpVersion !== '1.0')
    throw refusal('malformed_request', `HTTP version ${request.httpVersion}`)
  const { encodings, lengths } = readLengthHeaders(request.rawHeaders)
  if (lengths.length > 1) throw refusal('duplicate_header', 'two Content-Length headers')
  return encodings.length > 0 ? readEncoding(request, encodings, lengths) : readLength(lengths[0])
}

function readLengthHeaders(rawHeaders: readonly string[]) {
  const encodings: string[] = []
  const lengths: string[] = []
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    const folded = foldHeaderName(name)
    if (folded !== 'transfer-encoding' && folded !== 'content-length') continue
    // `Content_Length` is nothing to this parser, and a length to the ones that fold `_` into `-`.
    if (folded !== name.toLowerCase()) throw refusal('invalid_framing', `a header is spelt ${name}`)
    ;(folded === 'content-length' ? lengths : encodings).push(rawHeaders[index + 1] ?? '')
  }
  return { encodings, lengths }
}

function readEncoding(request: RequestHead, encodings: readonly string[], lengths: readonly string[]): Framing {
  if (encodings.length > 1) throw refusal('invalid_framing', 'two Transfer-Encoding headers')
  if (lengths.length > 0) throw refusal('invalid_framing', 'Transfer-Encoding beside Content-Length')
  if (request.httpVersion === '1.0') throw refusal('invalid_framing', 'Transfer-Encoding on HTTP/1.0')
  if (encodings[0]?.toLowerCase() !== 'chunked') throw refusal('invalid_framing', 'Transfer-Encoding is not "chunked"')
  return { kind: 'chunked' }
}

function readLength(text: string | undefined): Framing {
  if (text === undefined) return { kind: 'none' }
  // Fifteen digits are exact in a JavaScript number, and more than any body.
  if (!/^\d{1,15}$/.test(text)) throw refusal('invalid_framing', 'Content-Length is no number')
  return { kind: 'length', length: Number(text) }
}

/** True if a body follows the head. */
export function hasBody(framing: Framing): boolean {
  return framing.kind === 'chunked' || (framing.kind === 'length' && framing.length > 0)
}

function refusal(code: 'invalid_framing' | 'duplicate_header' | 'malformed_request', reason: string): GatewayError {
  return new GatewayError(code, { reason, closeConnection: true })
}
