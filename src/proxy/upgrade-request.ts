import { GatewayError } from '../base/errors.ts'
import type { RequestHead } from './framing.ts'
import { connectionOptions, headerValues, listMembers } from './header-names.ts'

/** What is read of a request that may ask for an upgrade. */
export interface UpgradeHead extends RequestHead {
  readonly method?: string | undefined
}

/**
 * True if the caller asks for a WebSocket, well or badly. Any other `Upgrade`, such as the `h2c` that Java's client sends
 * by default, is an offer that may be passed over, and one in HTTP/1.0 must be.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.8
 */
export function asksForWebSocket({ httpVersion, rawHeaders }: UpgradeHead): boolean {
  const lists = (name: string, member: string) =>
    listMembers(headerValues(rawHeaders, name)).some((each) => each.toLowerCase() === member)
  // Not by Proxy-Connection, which Node's parser takes for the same.
  return httpVersion === '1.1' && lists('upgrade', 'websocket') && lists('connection', 'upgrade')
}

/** True if it asks for one as it should: then its connection may be taken over. */
export function isWebSocketRequest(request: UpgradeHead): boolean {
  return asksForWebSocket(request) && upgradeFault(request) === undefined
}

/**
 * Refuses a request for a WebSocket that is anything else besides. An upstream that sees no such request in it answers
 * it, and a gateway that did would pass on whatever follows unread ("WebSocket smuggling").
 * @throws GatewayError `invalid_upgrade`
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1
 */
export function requireWebSocketRequest(request: UpgradeHead): void {
  const reason = upgradeFault(request)
  if (reason !== undefined) throw new GatewayError('invalid_upgrade', { reason, closeConnection: true })
}

function upgradeFault({ method, rawHeaders }: UpgradeHead): string | undefined {
  const only = (name: string) => {
    const values = headerValues(rawHeaders, name)
    return values.length === 1 ? values[0] : undefined
  }
  if (method !== 'GET') return `an upgrade by ${method}`
  // Its body, to whoever sees none in a GET, would be the first bytes of the other protocol (nghttpx).
  if (headerValues(rawHeaders, 'transfer-encoding').length > 0) return 'an upgrade with Transfer-Encoding'
  if (headerValues(rawHeaders, 'content-length').some((length) => length !== '0')) return 'an upgrade with a body'
  if (only('upgrade')?.toLowerCase() !== 'websocket') return 'an upgrade to more than one protocol'
  // Sixteen bytes: 22 digits, the last of which has four bits that count for nothing and are zero.
  if (!/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(only('sec-websocket-key') ?? '')) return 'a bad Sec-WebSocket-Key'
  if (only('sec-websocket-version') !== '13') return 'Sec-WebSocket-Version is not 13'
  if ([...connectionOptions(rawHeaders)].some((name) => name.startsWith('sec-websocket-')))
    return 'Connection lists a header of the WebSocket'
  return undefined
}

/** The headers that ask an upstream for a WebSocket: they concern one connection, so they are said anew. */
export const upgradeHeaders = { connection: 'Upgrade', upgrade: 'websocket' } as const
