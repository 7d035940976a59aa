import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { AdminSources } from './admin/admin.ts'
import { systemClock } from './base/clock.ts'
import { connectionId } from './base/connection.ts'
import { createLog, type Log } from './base/log.ts'
import { formatFault } from './config/config-error.ts'
import type { Address } from './config/listener.ts'
import type { Config } from './config/load.ts'
import { createGateway, type Gateway } from './gateway.ts'

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
  for (const warning of config.warnings) log.warn({ at: formatFault(config.file, warning) }, 'configuration warning')
  const gateway = createGateway(config, { log })
  let state: 'starting' | 'ready' | 'stopping' = 'starting'
  const admin =
    config.admin &&
    (await createAdminServer({
      notReady: () => (state === 'ready' ? undefined : state),
      metrics: () => gateway.metrics(),
    }))
  const servers = Object.entries(config.listeners).map(([name, { address }]) => {
    const door = gateway.listener(name)
    const { encrypted, serverOptions, handler } = door
    const server = encrypted ? createTlsServer(serverOptions, handler) : createServer(serverOptions, handler)
    door.attach(server)
    return { name, address, server, ending: watchRequests(server) }
  })
  const all = [
    ...servers,
    ...(admin && config.admin ? [{ name: 'admin', address: config.admin.address, server: admin }] : []),
  ]
  const addresses = new Map<string, AddressInfo>()
  try {
    await gateway.ready()
    for (const { name, address, server } of all) addresses.set(name, await listen(server, name, address))
  } catch (error) {
    for (const { server } of all) server.close()
    await gateway.close()
    throw error
  }
  for (const [name, { address, port }] of addresses) log.info({ listener: name, address, port }, 'listening')
  log.info({ file: config.file, hash: config.hash.slice(0, 16), routes: config.routes.length }, 'ready')
  state = 'ready'
  // Should it fail, the first WebSocket will tell.
  const cancelPreparation = systemClock.setTimeout(() => gateway.prepareUpgrades().catch(() => {}), quietAfter)

  let stopped: Promise<number> | undefined
  const stop = async () => {
    state = 'stopping'
    cancelPreparation()
    log.info({ grace_ms: config.shutdown_grace }, 'stopping')
    gateway.stop()
    const cut = await Promise.all(servers.map(({ ending }) => ending.closeWithin(config.shutdown_grace, gateway)))
    await gateway.close()
    admin?.close()
    admin?.closeAllConnections()
    const total = cut.reduce((sum, count) => sum + count, 0)
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
async function createAdminServer({ notReady, metrics }: AdminSources): Promise<Server> {
  const { createAdmin } = await import('./admin/admin.ts')
  const { processMetrics } = await import('./admin/process-metrics.ts')
  return createServer(createAdmin({ notReady, metrics: async () => `${await metrics()}\n${await processMetrics()}` }))
}

async function listen(server: Server, name: string, { host, port }: Address): Promise<AddressInfo> {
  server.listen({ host, port })
  try {
    await once(server, 'listening')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Error(`the listener ${name} cannot be opened on ${host}:${port} (${code})`, { cause: error })
  }
  return server.address() as AddressInfo
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
