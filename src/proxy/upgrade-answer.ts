import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { invalidAnswer, isTooMany, passingHeaders } from './answer-head.ts'
import { headerValues, listMembers } from './header-names.ts'
import { upgradeHeaders } from './upgrade-request.ts'

/** Makes an answer to one key differ from that to every other. @see https://www.rfc-editor.org/rfc/rfc6455#section-1.3 */
const websocketGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** The value of `Sec-WebSocket-Accept` that answers this key. */
export function acceptValue(key: string): string {
  return createHash('sha1').update(`${key}${websocketGuid}`).digest('base64')
}

/**
 * The headers, names and values alternating, of the 101 that goes to the caller. An upstream that has not understood what
 * it was asked for, or a cache that answers in its place, does not get to speak raw bytes to a caller.
 * @throws GatewayError `upstream_invalid_response` for an answer that is not the one to this request
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.1
 */
export function readUpgradeAnswer({ rawHeaders, httpVersion }: IncomingMessage, key: string): string[] {
  const fault = answerFault(rawHeaders, key)
  if (httpVersion !== '1.1') throw invalidAnswer(`101 on HTTP/${httpVersion}`)
  if (fault !== undefined) throw invalidAnswer(`101 with ${fault}`)
  return ['Upgrade', upgradeHeaders.upgrade, 'Connection', upgradeHeaders.connection, ...passingHeaders(rawHeaders)]
}

function answerFault(rawHeaders: readonly string[], key: string): string | undefined {
  if (isTooMany(rawHeaders)) return 'too many headers'
  const values = (name: string) => headerValues(rawHeaders, name)
  const isOnly = (name: string, value: string) => values(name).length === 1 && values(name)[0]?.toLowerCase() === value
  if (!isOnly('upgrade', 'websocket')) return 'another Upgrade'
  if (!listMembers(values('connection')).some((each) => each.toLowerCase() === 'upgrade')) return 'another Connection'
  if (values('sec-websocket-accept').length !== 1 || values('sec-websocket-accept')[0] !== acceptValue(key))
    return 'another Sec-WebSocket-Accept'
  if (values('sec-websocket-protocol').length > 1) return 'two Sec-WebSocket-Protocol headers'
  // Whoever believes a length here reads the first bytes of the other protocol as a body.
  const named = rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())
  return named.find((name) => ['transfer-encoding', 'content-length', '__proto__'].includes(name))
}
