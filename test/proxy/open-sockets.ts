import type { Duplex } from 'node:stream'
import type { Upstream } from '../../src/proxy/upstream.ts'
import { clientsOf } from '../../src/proxy/upstream-clients.ts'

/** Every connection to an upstream, whichever client has it, idle or not, or still being made. */
export function openSockets({ kept, fresh }: Upstream): Duplex[] {
  return [kept, fresh].flatMap((connections) => [
    ...[connections.agent.sockets, connections.agent.freeSockets].flatMap((each) =>
      Object.values(each).flatMap((sockets) => sockets ?? []),
    ),
    ...clientsOf(connections).sockets,
  ])
}
