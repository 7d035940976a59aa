import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A server of the demo. */
export interface Running {
  /** Such as `http://127.0.0.1:49152`. */
  readonly url: string
  stop(): void
}

/** Lets a server listen on a free loopback port. */
export async function listen(server: Server, scheme: 'http' | 'https' = 'http'): Promise<Running> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
