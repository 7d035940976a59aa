import type { Metrics } from './admin/metrics.ts'
import type { Log } from './base/log.ts'
import { Networks } from './base/network.ts'
import type { ListenerOptions } from './config/listener.ts'
import { createListenerTls, type ListenerTls } from './ingress/listener-tls.ts'
import type { PassThrough } from './pass-through.ts'
import type { Route } from './route.ts'
import { createRouteTable, type RouteTable } from './routes/route-table.ts'

/** A listener, with everything that can be done once done. */
export interface Listener {
  readonly name: string
  readonly options: ListenerOptions
  /** The protection space that a challenge names. */
  readonly realm: string
  readonly trustedProxies: Networks
  readonly tls?: ListenerTls
  readonly routes: RouteTable<Route>
  /** Given for a forward proxy. */
  readonly proxy?: {
    /** The routes that have a host: no other is for somebody else's URLs. */
    readonly routes: RouteTable<Route>
    /** By `passKey`. */
    readonly passThrough: ReadonlyMap<string, Route>
  }
}

/** The routes are those of all listeners. */
export interface ListenerContext {
  readonly routes: readonly Route[]
  readonly passThrough: readonly PassThrough[]
  readonly log: Log
  readonly metrics: Metrics
}

/** Makes a listener ready; nothing is opened yet. */
export function createListener(name: string, options: ListenerOptions, context: ListenerContext): Listener {
  const { log, metrics } = context
  const isOwn = ({ listener }: Pick<Route, 'listener'>) => listener === name
  const routes = context.routes.filter(isOwn)
  const passThrough = context.passThrough.filter(isOwn)
  return {
    name,
    options,
    realm: options.public_url ?? 'scopegate',
    trustedProxies: new Networks(options.trusted_proxies ?? []),
    ...(options.tls && {
      tls: createListenerTls(
        { ...options.tls, handshakeTimeout: options.timeouts.headers },
        {
          renewed: () => log.info({ listener: name }, 'certificate renewed'),
          notRenewed: (reason) => log.warn({ listener: name, reason }, 'certificate not renewed'),
          handshakeFailed(reason, { remoteAddress }) {
            log.info({ listener: name, code: 'handshake_failed', reason, address: remoteAddress }, 'refused')
            metrics.countRefusedConnection(name, 'handshake_failed')
          },
        },
      ),
    }),
    routes: createRouteTable(routes),
    ...(options.forward_proxy && {
      proxy: {
        routes: createRouteTable(routes.filter(({ host }) => host !== undefined)),
        passThrough: new Map(passThrough.map((route) => [route.key, route])),
      },
    }),
  }
}
