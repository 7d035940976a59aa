import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { AdminListener } from './admin/admin-listener.ts'
import { systemClock } from './base/clock.ts'
import { connectionId } from './base/connection.ts'
import { listen } from './base/listen.ts'
import { createLog, type Log } from './base/log.ts'
import { formatFault } from './config/config-error.ts'
import type { Config } from './config/load.ts'
import { createGateway, type Gateway, type GatewayOptions } from './gateway.ts'

/** A running process: its listeners, and how to end them. */
export interface RunningServer {
  /** Where each listener accepts, by name; the admin listener is `admin`. */
  readonly addresses: ReadonlyMap<string, AddressInfo>
  /**
   * Not ready any more, accepts nothing more, lets what is in flight finish within `shutdown_grace`, and then ends it.
   * Resolves with the number of requests that had to be cut off; the second call waits for the first.
   */
  stop(): Promise<number>
}

export interface ServeOptions {
  readonly log?: Log
}

/** When those who waited for the listeners have had their answers, in milliseconds: what can wait begins then. */
const quietAfter = 1000

/**
 * Serves a configuration: all of its listeners, or none.
 * @throws the error of the first listener that cannot be opened, after the others are closed again
 */
export async function serve(config: Config, options: ServeOptions = {}): Promise<RunningServer> {
  const { log = createLog() } = options
  logWarnings(config, log)
  let state: 'starting' | 'ready' | 'stopping' = 'starting'
  const loadingAdmin = config.admin && loadAdmin()
  const listeners = await openListeners(config, { log })
  let admin: AdminListener | undefined
  try {
    const parts = await loadingAdmin
    if (config.admin && parts)
      admin = await parts.openAdmin(config.admin.address, {
        notReady: () => (state === 'ready' ? undefined : state),
        metrics: async () => `${await listeners.gateway.metrics()}\n${await parts.processMetrics()}`,
      })
  } catch (error) {
    await listeners.abandon()
    throw error
  }
  const addresses = new Map([...listeners.addresses, ...(admin ? [['admin', admin.address] as const] : [])])
  logServing(config, addresses, log)
  state = 'ready'
  // Should it fail, the first WebSocket will tell.
  const cancelPreparation = systemClock.setTimeout(
    () => listeners.gateway.prepareUpgrades().catch(() => {}),
    quietAfter,
  )

  let stopped: Promise<number> | undefined
  const stop = async () => {
    state = 'stopping'
    cancelPreparation()
    log.info({ grace_ms: config.shutdown_grace }, 'stopping')
    const total = await listeners.stop()
    admin?.close()
    log.info({ cut_off: total }, 'stopped')
    return total
  }
  return {
    addresses,
    stop: () => {
      stopped ??= stop()
      return stopped
    },
  }
}

/** Express and the metrics of the process take long to load: that is left to who has an admin listener. */
async function loadAdmin() {
  const { openAdmin } = await import('./admin/admin-listener.ts')
  const { processMetrics } = await import('./admin/process-metrics.ts')
  return { openAdmin, processMetrics }
}

/** Tells what `check` would warn of. */
export function logWarnings({ warnings, file }: Config, log: Log): void {
  for (const warning of warnings) log.warn({ at: formatFault(file, warning) }, 'configuration warning')
}

/** Tells where requests are taken, and that they are. */
export function logServing(config: Config, addresses: RunningServer['addresses'], log: Log): void {
  for (const [name, { address, port }] of addresses) log.info({ listener: name, address, port }, 'listening')
  log.info({ file: config.file, hash: config.hash.slice(0, 16), routes: config.routes.length }, 'ready')
}

/** The listeners of a configuration but for the admin's. */
export interface OpenListeners {
  readonly addresses: ReadonlyMap<string, AddressInfo>
  readonly gateway: Gateway
  /** Resolves with the number of requests that had to be cut off. */
  stop(): Promise<number>
  /** Closes them again before they were used. */
  abandon(): Promise<void>
}

/** Opens them: all, or none. @throws the error of the first one that cannot be opened */
export async function openListeners(config: Config, options: GatewayOptions): Promise<OpenListeners> {
  const gateway = createGateway(config, options)
  const servers = Object.entries(config.listeners).map(([name, { address }]) => {
    const door = gateway.listener(name)
    const { encrypted, serverOptions, handler } = door
    const server = encrypted ? createTlsServer(serverOptions, handler) : createServer(serverOptions, handler)
    door.attach(server)
    return { name, address, server, ending: watchRequests(server) }
  })
  const addresses = new Map<string, AddressInfo>()
  const abandon = async () => {
    for (const { server } of servers) server.close()
    await gateway.close()
  }
  try {
    await gateway.ready()
    for (const { name, address, server } of servers) addresses.set(name, await listen(server, name, address))
  } catch (error) {
    await abandon()
    throw error
  }
  return {
    addresses,
    gateway,
    abandon,
    async stop() {
      gateway.stop()
      const cut = await Promise.all(servers.map(({ ending }) => ending.closeWithin(config.shutdown_grace, gateway)))
      await gateway.close()
      return cut.reduce((sum, count) => sum + count, 0)
    },
  }
}

/** Counts what is on its way, and closes what is not. */
interface Ending {
  /**
   * Closes the server when its last request is answered and its last upgraded connection has ended, or cuts off what is
   * left when the grace is over.
   */
  closeWithin(grace: number, gateway: Gateway): Promise<number>
}

const lookInterval = 50

function watchRequests(server: Server): Ending {
  // By its ends: the socket of a TLS connection takes the place of the one that its handshake went over.
  const untouched = new Map<string, Socket>()
  const watch = (socket: Socket) => {
    const id = connectionId(socket)
    untouched.set(id, socket)
    socket.once('close', () => untouched.get(id) === socket && untouched.delete(id))
  }
  const touched = new WeakSet<Socket>()
  let onTheirWay = 0
  const ended = () => {
    onTheirWay--
  }
  server.on('connection', watch)
  server.on('secureConnection', watch)
  server.on('request', ({ socket }, response) => {
    if (!touched.has(socket)) untouched.delete(connectionId(socket))
    touched.add(socket)
    onTheirWay++
    response.on('close', ended)
  })
  return {
    async closeWithin(grace, gateway) {
      const closed = once(server, 'close')
      server.close()
      // Connections that never had a request are no idle ones to Node; nor are those whose last request ends only now.
      for (const socket of untouched.values()) if (!gateway.isUpgraded(socket)) socket.destroy()
      const looking = setInterval(() => server.closeIdleConnections(), lookInterval)
      let cut = 0
      const cancel = systemClock.setTimeout(() => {
        cut = onTheirWay + gateway.endUpgraded()
        server.closeAllConnections()
      }, grace)
      await closed
      cancel()
      clearInterval(looking)
      return cut
    },
  }
}
