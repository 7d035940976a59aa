import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../base/errors.ts'
import { hopByHopHeaders, isProxyHeader } from '../base/header-lists.ts'
import { connectionOptions, headerPairs, headerValues, isHeaderName, isHeaderValue } from './header-names.ts'

/** What goes to the caller before the body. */
export interface AnswerHead {
  readonly status: number
  readonly reason: string
  /** Names and values, alternating. */
  readonly rawHeaders: string[]
  readonly hasBody: boolean
}

/** Past this many lines Node keeps no more, and what it dropped could be a header that matters. */
const mostHeaders = 1000

/**
 * Reads the head of an upstream's answer, and leaves out what concerns its connection alone; everything else is passed
 * untouched, in its order and spelling.
 * @throws GatewayError `upstream_invalid_response` for what cannot be passed on with one unambiguous length
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-6.3
 */
export function readAnswerHead(answer: IncomingMessage, method: string): AnswerHead {
  const { statusCode: status = 0, statusMessage = '', rawHeaders } = answer
  if (status < 200 || status > 599) throw invalid(`the status is ${status}`)
  if (rawHeaders.length >= 2 * mostHeaders) throw invalid('too many headers')
  requireOneLength(answer)
  const listed = connectionOptions(rawHeaders)
  const passing = [...headerPairs(rawHeaders)].filter(([name]) => {
    const lower = name.toLowerCase()
    if (hopByHopHeaders.has(lower) || isProxyHeader(lower) || lower === '__proto__') return false
    // A 204 has no body, and whoever believes a length in it takes the next answer for one.
    if (lower === 'content-length') return status !== 204
    return !listed.has(lower)
  })
  if (!passing.every(([name, value]) => isHeaderName(name) && isHeaderValue(value))) throw invalid('a malformed header')
  return {
    status,
    reason: isHeaderValue(statusMessage) ? statusMessage : '',
    rawHeaders: passing.flat(),
    hasBody: method !== 'HEAD' && status !== 204 && status !== 304,
  }
}

function requireOneLength({ rawHeaders, httpVersion }: IncomingMessage): void {
  const encodings = headerValues(rawHeaders, 'transfer-encoding')
  const lengths = headerValues(rawHeaders, 'content-length')
  if (lengths.length > 1 || !lengths.every((length) => /^\d{1,15}$/.test(length))) throw invalid('a bad Content-Length')
  if (encodings.length === 0) return
  if (lengths.length > 0) throw invalid('Transfer-Encoding beside Content-Length')
  if (encodings.length > 1 || encodings[0]?.toLowerCase() !== 'chunked')
    throw invalid('Transfer-Encoding is not "chunked"')
  if (httpVersion !== '1.1') throw invalid(`Transfer-Encoding on HTTP/${httpVersion}`)
}

function invalid(reason: string): GatewayError {
  return new GatewayError('upstream_invalid_response', { reason: `the upstream's answer: ${reason}` })
}
