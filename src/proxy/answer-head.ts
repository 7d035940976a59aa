import { GatewayError } from '../base/errors.ts'
import { hopByHopHeaders, isProxyHeader } from '../base/header-lists.ts'
import { remember } from '../base/remember.ts'
import { connectionOptions, headerValues, isHeaderName, isHeaderValue } from './header-names.ts'
import type { UpstreamAnswer } from './upstream-answer.ts'

/** What a URL in an answer becomes. */
type Relocate = ((location: string) => string) | undefined

/** What goes to the caller before the body. */
export interface AnswerHead {
  readonly status: number
  readonly reason: string
  /** Names and values, alternating. */
  readonly rawHeaders: string[]
  readonly hasBody: boolean
  /** Bytes of the body, where the answer says so. */
  readonly length: number | undefined
}

/** Past this many lines Node keeps no more, and what it dropped could be a header that matters. */
const mostHeaders = 1000

/**
 * Reads the head of an upstream's answer, and leaves out what concerns its connection alone; everything else is passed
 * untouched, in its order and spelling, but for where `Location` and `Content-Location` lead.
 * @throws GatewayError `upstream_invalid_response` for what cannot be passed on with one unambiguous length
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-6.3
 */
export function readAnswerHead(answer: UpstreamAnswer, method: string, relocate?: Relocate): AnswerHead {
  const { statusCode: status, statusMessage, httpVersion, rawHeaders } = answer
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw invalidAnswer(`it is HTTP/${httpVersion}`)
  if (status < 200 || status > 599) throw invalidAnswer(`the status is ${status}`)
  if (isTooMany(rawHeaders)) throw invalidAnswer('too many headers')
  const length = readLength(answer)
  return {
    status,
    reason: isHeaderValue(statusMessage) ? statusMessage : '',
    // A 204 has no body, and whoever believes a length in it takes the next answer for one.
    rawHeaders: passingHeaders(rawHeaders, { withLength: status !== 204, relocate }),
    hasBody: method !== 'HEAD' && status !== 204 && status !== 304,
    length,
  }
}

/** True if Node may have dropped some. */
export function isTooMany(rawHeaders: readonly string[]): boolean {
  return rawHeaders.length >= 2 * mostHeaders
}

/**
 * The headers of an answer that are not about its connection alone, names and values alternating.
 * @throws GatewayError `upstream_invalid_response` if one of them cannot be written
 */
export function passingHeaders(
  rawHeaders: readonly string[],
  { withLength = true, relocate }: { readonly withLength?: boolean; readonly relocate?: Relocate } = {},
): string[] {
  const listed = connectionOptions(rawHeaders)
  const passing: string[] = []
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    const value = rawHeaders[index + 1] ?? ''
    const { lower, isWellFormed, isOfConnection, isLocation } = judgeName(name)
    if (isOfConnection) continue
    if (lower === 'content-length' ? !withLength : listed.size > 0 && listed.has(lower)) continue
    if (!isWellFormed || !isHeaderValue(value)) throw invalidAnswer('a malformed header')
    passing.push(name, isLocation && relocate ? relocate(value) : value)
  }
  return passing
}

const judgeName = remember((name) => {
  const lower = name.toLowerCase()
  const isOfConnection = hopByHopHeaders.has(lower) || isProxyHeader(lower) || lower === '__proto__'
  const isLocation = lower === 'location' || lower === 'content-location'
  return { lower, isOfConnection, isLocation, isWellFormed: isHeaderName(name) }
})

/** @throws GatewayError where there is more than one way to tell */
function readLength({ rawHeaders, httpVersion }: UpstreamAnswer): number | undefined {
  const encodings = headerValues(rawHeaders, 'transfer-encoding')
  const lengths = headerValues(rawHeaders, 'content-length')
  if (lengths.length > 1 || !lengths.every((length) => /^\d{1,15}$/.test(length)))
    throw invalidAnswer('a bad Content-Length')
  if (encodings.length === 0) return lengths[0] === undefined ? undefined : Number(lengths[0])
  if (lengths.length > 0) throw invalidAnswer('Transfer-Encoding beside Content-Length')
  if (encodings.length > 1 || encodings[0]?.toLowerCase() !== 'chunked')
    throw invalidAnswer('Transfer-Encoding is not "chunked"')
  if (httpVersion !== '1.1') throw invalidAnswer(`Transfer-Encoding on HTTP/${httpVersion}`)
  return undefined
}

/** An upstream's answer that cannot be passed on. */
export function invalidAnswer(reason: string): GatewayError {
  return new GatewayError('upstream_invalid_response', { reason: `the upstream's answer: ${reason}` })
}
