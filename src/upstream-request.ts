import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { GatewayError } from './base/errors.ts'
import { expiryOf, isSpent } from './egress/access-token.ts'
import { refusableAge } from './egress/token-source.ts'
import { type Exchange, whileOpen } from './exchange.ts'
import type { AccessToken } from './ingress/access-token.ts'
import { callerUrl } from './proxy/caller-url.ts'
import type { OutgoingHead, OutgoingHeaders } from './proxy/exchange.ts'
import { isTrustedPeer } from './proxy/forwarded.ts'
import { buildRequestHeaders, type OutgoingToken } from './proxy/request-headers.ts'
import type { Reading } from './request-reading.ts'
import type { Parts, Route } from './wiring.ts'

/** The token that goes out, as the token source gives it. */
export type Token = Awaited<ReturnType<Parts['tokens']['get']>>['token']

type RouteToken = NonNullable<Route['token']>

/** A request that needs a token never goes on without one. */
export function obtainToken(exchange: Exchange, route: Route): Promise<Token> | Token | undefined {
  if (!route.token) return undefined
  const { parts, outcome } = exchange
  outcome.client = route.token.client
  const held = parts.tokens.held(route.token.request)
  if (!held) return awaitToken(exchange, route.token)
  outcome.tokenSource = held.source
  return held.token
}

async function awaitToken({ response, parts, outcome }: Exchange, { request }: RouteToken): Promise<Token> {
  const { token, source } = await whileOpen(response, parts.tokens.get(request))
  outcome.tokenSource = source
  return token
}

/** The successor of a token that the upstream refused. @throws {GatewayError} if there is none to be had */
async function replaceToken(
  { response, parts, outcome }: Exchange,
  route: Route,
  refused: Token,
): Promise<Token | undefined> {
  if (!route.token) return undefined
  const isYoung = parts.clock.now() - refused.obtainedAt < refusableAge
  const successor = await whileOpen(response, parts.tokens.replace(route.token.request, refused))
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
  let current = token
  const headWith = (next: Token | undefined): OutgoingHead => {
    current = next
    return {
      headers: headersFor(exchange, { route, reading, caller, token: next }),
      sendBefore: next && expiryOf(next),
    }
  }
  return {
    head: headWith(token),
    async refresh() {
      return headWith(current && isSpent(current, clock.now()) ? await obtainToken(exchange, route) : current)
    },
    async reauthorize() {
      const successor = current && (await replaceToken(exchange, route, current))
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
        host: reading.authority,
      })
  return url === undefined ? location : (route.upstream.relocate?.(location, url) ?? location)
}
