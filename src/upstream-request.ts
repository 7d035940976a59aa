import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { GatewayError } from './base/errors.ts'
import { expiryOf, isSpent } from './egress/access-token.ts'
import type { TokenRequest } from './egress/token-request.ts'
import { refusableAge } from './egress/token-source.ts'
import { type Exchange, whileOpen } from './exchange.ts'
import type { AccessToken } from './ingress/access-token.ts'
import { readBearerToken } from './ingress/bearer-token.ts'
import { invalidToken } from './ingress/invalid-token.ts'
import { callerUrl } from './proxy/caller-url.ts'
import type { OutgoingHead, OutgoingHeaders } from './proxy/exchange.ts'
import { isTrustedPeer } from './proxy/forwarded.ts'
import { buildRequestHeaders, type OutgoingToken } from './proxy/request-headers.ts'
import type { Reading } from './request-reading.ts'
import type { Route } from './route.ts'
import type { Parts } from './wiring.ts'

/** The token that goes out, as the token source gives it. */
export type Token = Awaited<ReturnType<Parts['tokens']['get']>>['token']

type RouteToken = NonNullable<Route['token']>

/** A request that needs a token never goes on without one. */
export function obtainToken(
  exchange: Exchange,
  route: Route,
  caller: AccessToken | undefined,
): Promise<Token> | Token | undefined {
  if (!route.token) return undefined
  const { parts, outcome } = exchange
  outcome.client = route.token.client
  const request = tokenRequest(exchange, route.token, caller)
  const held = parts.tokens.held(request)
  if (!held) return awaitToken(exchange, request)
  outcome.tokenSource = held.source
  return held.token
}

/** On routes that exchange tokens each caller has its own. */
function tokenRequest(exchange: Exchange, { request }: RouteToken, caller: AccessToken | undefined): TokenRequest {
  if (!('requestFor' in request)) return request
  if (!caller) throw new TypeError('there is no token to be exchanged')
  const { request: incoming, target, parts } = exchange
  // Its request may have taken long: a server that is lenient would give a token in the name of somebody who has none.
  if (caller.expiresAt <= parts.clock.now()) throw invalidToken('the token expired while its request came in')
  return request.requestFor({
    token: readBearerToken(incoming.headers.authorization, target),
    expiresAt: endOfToken(caller),
  })
}

/** Without the tolerance for its server's clock: what comes for it has a life of its own, and no tolerance. */
function endOfToken({ claims, expiresAt }: AccessToken): number {
  return Math.min(Number(claims.exp) * 1000, expiresAt)
}

async function awaitToken({ response, parts, outcome }: Exchange, request: TokenRequest): Promise<Token> {
  const { token, source } = await whileOpen(response, parts.tokens.get(request))
  outcome.tokenSource = source
  return token
}

/** The successor of a token that the upstream refused. @throws {GatewayError} if there is none to be had */
async function replaceToken(
  exchange: Exchange,
  { route, caller }: Omit<Admitted, 'reading' | 'token'>,
  refused: Token,
): Promise<Token | undefined> {
  if (!route.token) return undefined
  const { response, parts, outcome } = exchange
  const request = tokenRequest(exchange, route.token, caller)
  const isYoung = parts.clock.now() - refused.obtainedAt < refusableAge
  const successor = await whileOpen(response, parts.tokens.replace(request, refused))
  if (!successor) throw new GatewayError('upstream_refused_token', { reason: isYoung ? tooYoung : askedAlready })
  outcome.tokenSource = successor.source
  outcome.replaced = true
  return successor.token
}

const tooYoung = 'the token was got less than 10 s ago, and is not replaced yet'
const askedAlready = 'there is no other token to be had: one was asked for less than 10 s ago'

/** A request that goes on. */
export interface Admitted {
  readonly route: Route
  readonly reading: Reading
  /** What the caller's token says. */
  readonly caller: AccessToken | undefined
  readonly token: Token | undefined
}

/** What goes ahead of the body, as it is now and as it may have to be anew. */
export interface Heads {
  readonly head: OutgoingHead
  /** With a token that is good now. */
  refresh(): Promise<OutgoingHead>
  /** With the successor of the token that went out last, or `undefined` where none is to be had. */
  reauthorize(): Promise<OutgoingHead | undefined>
}

export function createHeads(exchange: Exchange, { route, reading, caller, token }: Admitted): Heads {
  const { clock } = exchange.parts
  const callersEnd = route.token && 'requestFor' in route.token.request ? caller?.expiresAt : undefined
  let current = token
  const headWith = (next: Token | undefined): OutgoingHead => {
    current = next
    return {
      headers: headersFor(exchange, { route, reading, caller, token: next }),
      sendBefore: next && (expiryOf(next) ?? callersEnd),
    }
  }
  const isOver = (held: Token) => isSpent(held, clock.now()) || (callersEnd !== undefined && callersEnd <= clock.now())
  return {
    head: headWith(token),
    async refresh() {
      return headWith(current && isOver(current) ? await obtainToken(exchange, route, caller) : current)
    },
    async reauthorize() {
      const successor = current && (await replaceToken(exchange, { route, caller }, current))
      return successor && headWith(successor)
    },
  }
}

function outgoing({ header, scheme }: RouteToken, { value }: Token): OutgoingToken {
  return { header, scheme, value: value.read() }
}

/** The headers for the upstream, with this token in them. */
function headersFor(exchange: Exchange, { route, reading, caller, token }: Admitted): OutgoingHeaders {
  const { request, listener } = exchange
  // Whoever asks a proxy for somebody's URL sees that one, and not the listener.
  const publicUrl = reading.proxied ? undefined : listener.options.public_url
  return buildRequestHeaders(route.headers, {
    rawHeaders: request.rawHeaders,
    httpVersion: request.httpVersion,
    peerAddress: request.socket.remoteAddress ?? '',
    trustedPeer: isTrustedPeer(request, listener.trustedProxies),
    encrypted: isEncrypted(request),
    host: reading.authority,
    publicUrl,
    claims: caller?.claims,
    token: token && route.token && outgoing(route.token, token),
  })
}

function isEncrypted({ socket }: IncomingMessage): boolean {
  return (socket as Partial<TLSSocket>).encrypted === true
}

/** A URL in the upstream's answer, as it leads the caller here again. */
export function relocate(
  { request, listener }: Exchange,
  { route, reading }: Pick<Admitted, 'route' | 'reading'>,
  location: string,
): string {
  const { rawHeaders } = request
  const url = reading.proxied
    ? `http://${reading.authority}`
    : callerUrl({
        rawHeaders,
        trustedPeer: isTrustedPeer(request, listener.trustedProxies),
        encrypted: isEncrypted(request),
        publicUrl: listener.options.public_url,
        ownHost: isNamed(route, reading, request) ? reading.authority : undefined,
      })
  return route.upstream.relocate?.(location, url) ?? location
}

/** True if the route has the request's host for its own, by its full name, and the port is no invention of the caller's. */
function isNamed({ host }: Route, { authority }: Reading, { socket }: IncomingMessage): boolean {
  const port = /:(\d+)$/.exec(authority)?.[1]
  return host !== undefined && !host.startsWith('*.') && (port === undefined || Number(port) === socket.localPort)
}
