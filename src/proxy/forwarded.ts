import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import proxyAddr from 'proxy-addr'
import { type Networks, plainAddress } from '../base/network.ts'

/** Stands for a caller whose address cannot be told: no network includes it. */
const unknownAddress = 'unknown'

/**
 * The address of who called: the nearest one that is no trusted proxy, by `X-Forwarded-For` or `Forwarded` as far as
 * trusted proxies wrote it. What is no address there gives {@link unknownAddress}: taking the proxy's own address
 * instead would let garbage in as a neighbour. So do two headers that tell of two callers: a proxy writes one of them
 * and passes the other on as a caller wrote it, and nobody can say which.
 */
export function callerAddress(request: IncomingMessage, trusted: Networks): string {
  const { remoteAddress } = request.socket
  if (remoteAddress === undefined) return unknownAddress
  if (trusted.isEmpty) return plainAddress(remoteAddress)
  const { 'x-forwarded-for': list, forwarded } = request.headers
  const hops = [
    ...(list === undefined ? [] : [[list].flat().join(',').split(',').map(readHop)]),
    ...(forwarded === undefined ? [] : [forwardedFor(forwarded)]),
  ]
  const [nearest = nearestTo(request, [], trusted), other = nearest] = hops.map((each) =>
    nearestTo(request, each, trusted),
  )
  return nearest === other ? nearest : unknownAddress
}

/** The library passes over an empty place, and would take the proxy that wrote it for the caller. */
function readHop(text: string): string {
  return text.trim() || unknownAddress
}

/** `hops` are what proxies wrote, the furthest first. */
function nearestTo({ socket }: IncomingMessage, hops: readonly string[], trusted: Networks): string {
  const headers = hops.length === 0 ? {} : { 'x-forwarded-for': hops.join(',') }
  const asked = { socket, headers } as IncomingMessage
  return readAddress(proxyAddr(asked, (address) => trusted.includes(readAddress(address) ?? ''))) ?? unknownAddress
}

const pair = /[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[!#$%&'*+.^_`|~0-9A-Za-z-]*)[ \t]*(;|,|$)/y

/**
 * Who each hop was sent by, in a `Forwarded` header; a hop that does not say so is {@link unknownAddress}, and so is all
 * of a header that cannot be read to its end.
 * @see https://www.rfc-editor.org/rfc/rfc7239#section-4
 */
function forwardedFor(header: string): string[] {
  const hops: string[] = []
  let node: string | undefined
  for (let at = 0; ; at = pair.lastIndex) {
    pair.lastIndex = at
    const [, name, value = '', end] = pair.exec(header) ?? []
    // Two in one hop are two readings of it.
    if (name === undefined || (node !== undefined && name.toLowerCase() === 'for')) return [unknownAddress]
    if (name.toLowerCase() === 'for') node = value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value
    if (end === ';') continue
    hops.push(node === undefined || /[\s,]/.test(node) ? unknownAddress : readHop(node))
    node = undefined
    if (end === '') return hops
  }
}

/** True if the other end of the connection is a trusted proxy. */
export function isTrustedPeer(request: IncomingMessage, trusted: Networks): boolean {
  return !trusted.isEmpty && trusted.includes(request.socket.remoteAddress ?? '')
}

/** Some proxies add the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function readAddress(text: string): string | undefined {
  const [, ipv4, ipv6] = /^(?:(\d+\.\d+\.\d+\.\d+)(?::\d+)?|\[([^\]]+)\](?::\d+)?)$/.exec(text) ?? []
  const address = plainAddress(ipv4 ?? ipv6 ?? text)
  return isIP(address) === 0 ? undefined : address
}
