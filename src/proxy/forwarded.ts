import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import proxyAddr from 'proxy-addr'
import { type Networks, plainAddress } from '../base/network.ts'

/** Stands for a caller whose address cannot be told: no network includes it. */
const unknownAddress = 'unknown'

/**
 * The address of who called: the nearest one that is no trusted proxy, by `X-Forwarded-For` as far as trusted proxies
 * wrote it. What is no address there gives {@link unknownAddress}: taking the proxy's own address instead would let
 * garbage in as a neighbour.
 */
export function callerAddress(request: IncomingMessage, trusted: Networks): string {
  const peer = request.socket.remoteAddress
  if (peer === undefined) return unknownAddress
  const nearest = readAddress(proxyAddr(request, (address) => trusted.includes(readAddress(address) ?? '')))
  return nearest ?? unknownAddress
}

/** True if the other end of the connection is a trusted proxy. */
export function isTrustedPeer(request: IncomingMessage, trusted: Networks): boolean {
  return trusted.includes(request.socket.remoteAddress ?? '')
}

/** Some proxies add the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function readAddress(text: string): string | undefined {
  const [, ipv4, ipv6] = /^(?:(\d+\.\d+\.\d+\.\d+)(?::\d+)?|\[([^\]]+)\](?::\d+)?)$/.exec(text) ?? []
  const address = plainAddress(ipv4 ?? ipv6 ?? text)
  return isIP(address) === 0 ? undefined : address
}
