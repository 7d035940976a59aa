import { createGuardedLookup } from './proxy/guarded-lookup.ts'
import { compileHeaderPolicy } from './proxy/request-headers.ts'
import { upstreamOptions } from './proxy/route-options.ts'
import { createUpstream } from './proxy/upstream.ts'
import type { Route } from './route.ts'
import { type Authority, passKey } from './routes/host.ts'

/** A host that a forward proxy sends requests on to as they are. */
export interface PassThrough extends Route {
  /** As `passKey` gives it. */
  readonly key: string
}

export interface PassThroughContext {
  readonly listener: string
  readonly viaName: string
  readonly reservedHeaders: readonly string[]
}

/** Makes the route of such a host: over http, without a token, and to the port that is written, whatever the caller writes. */
export function createPassThrough(
  authority: Authority,
  { listener, viaName, reservedHeaders }: PassThroughContext,
): PassThrough {
  const key = passKey(authority)
  const options = upstreamOptions.parse({ url: `http://${key}`, rewrite_location: false })
  const upstream = createUpstream(options, { lookup: createGuardedLookup() })
  return {
    key,
    name: `pass_through ${key}`,
    listener,
    host: authority.host,
    path: '/**',
    admission: 'pass_through',
    endsAtExpiry: true,
    headers: compileHeaderPolicy({
      viaName,
      reservedHeaders,
      identityHeaders: {},
      forwardedHeaders: false,
      upstreamHost: upstream.hostHeader,
    }),
    upstream,
  }
}
