import type { LookupFunction } from 'node:net'
import type { ClientCertificate } from '../base/client-certificate.ts'
import { GatewayError } from '../base/errors.ts'
import { createRelocation, type Relocation } from './location.ts'
import { tlsServerName, type UpstreamOptions, upstreamCertificate } from './route-options.ts'
import type { UpstreamAgent } from './upstream-agent.ts'
import { createUpstreamPools, type UpstreamPools } from './upstream-agents.ts'

/** Where a route's requests go, and how they get there. */
export interface Upstream {
  readonly url: string
  /** The URL's parts, as a client request takes them. */
  readonly target: { readonly protocol: string; readonly hostname: string; readonly port: string }
  /** The upstream's own Host. */
  readonly hostHeader: string
  /** False: the caller's Host passes. */
  readonly ownHost: boolean
  readonly timeouts: { readonly connect: number; readonly response: number; readonly idle: number }
  /** The longest body, in bytes, that is kept to be sent again when the token was refused. */
  readonly replayBody: number
  /** Keeps connections for the next request. */
  readonly kept: UpstreamAgent
  /** Makes a new connection for each. */
  readonly fresh: UpstreamAgent
  /**
   * The request target for the upstream, from the caller's: prefix dropped and added, every other byte as it came.
   * @throws GatewayError `invalid_target` for one that is no path, `ambiguous_target` for one that would look like another host's
   */
  rewrite(target: string): string
  /** The reverse, for a URL in an answer: see `createRelocation`. Missing where `rewrite_location` is off. */
  readonly relocate: Relocation | undefined
  /** Closes idle connections; requests in flight finish. */
  close(): void
}

export interface UpstreamContext {
  /** The one that the token is bound to; it wins over the upstream's own. */
  readonly certificate?: ClientCertificate | undefined
  /** Those of the gateway. */
  readonly pools?: UpstreamPools
  /** How its name is looked up, where not as everywhere else. Its connections are then shared with no other. */
  readonly lookup?: LookupFunction
}

/** Makes an upstream ready, once for all its requests. */
export function createUpstream(
  options: UpstreamOptions,
  { certificate, lookup, pools = createUpstreamPools() }: UpstreamContext = {},
): Upstream {
  const url = new URL(options.url)
  const encrypted = url.protocol === 'https:'
  const tls = { encrypted, serverName: tlsServerName(options), ...(options.tls?.ca && { ca: options.tls.ca }) }
  const way = { ...tls, ...(lookup && { lookup }) }
  const shared = lookup ? createUpstreamPools() : pools
  const agents = shared.agentsFor(url.origin, way, certificate ?? upstreamCertificate(options.tls))
  const base = `${url.pathname.replace(/\/+$/, '')}${options.add_prefix ?? ''}`
  const dropped = segmentsOf(options.strip_prefix ?? '').length
  return {
    url: options.url,
    target: { protocol: url.protocol, hostname: url.hostname.replace(/^\[|\]$/g, ''), port: url.port },
    hostHeader: url.host,
    ownHost: options.host === 'upstream',
    timeouts: options.timeouts,
    replayBody: options.replay_body,
    get kept() {
      return agents.current().kept
    },
    get fresh() {
      return agents.current().fresh
    },
    rewrite: (target) => rewriteTarget(target, base, dropped),
    relocate: options.rewrite_location
      ? createRelocation({ url, base, prefix: options.strip_prefix ?? '' })
      : undefined,
    close: () => agents.retire(),
  }
}

function rewriteTarget(target: string, base: string, dropped: number): string {
  if (!target.startsWith('/')) throw new GatewayError('invalid_target', { reason: 'the target is no path' })
  const query = target.indexOf('?')
  const path = query === -1 ? target : target.slice(0, query)
  const rewritten = base + dropSegments(path, dropped)
  // Some servers and libraries take `//evil.example/x` for another host's URL: the caller did not write it, dropping made it.
  if (rewritten.startsWith('//') && !path.startsWith('//'))
    throw new GatewayError('ambiguous_target', { reason: 'without its prefix the path begins with two slashes' })
  return (rewritten === '' ? '/' : rewritten) + (query === -1 ? '' : target.slice(query))
}

/**
 * The path without its first segments, whatever their spelling: that they are the prefix, decoded, is what the route
 * already found. Empty ones do not count, for a route that merges slashes.
 */
function dropSegments(path: string, count: number): string {
  let rest = path
  for (let left = count; left > 0 && rest !== ''; left--) rest = rest.replace(/^\/+[^/]*/, '')
  return rest
}

function segmentsOf(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '')
}

/** True if every path of the pattern begins with the prefix, segment by segment, compared decoded. */
export function prefixCovers(pattern: string, prefix: string): boolean {
  const literal = segmentsOf(pattern)
  return segmentsOf(prefix).every((segment, index) => {
    const owned = literal[index]
    return owned !== undefined && owned !== '*' && owned !== '**' && decode(owned) === decode(segment)
  })
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
