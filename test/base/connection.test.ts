import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { connectionId } from '../../src/base/connection.ts'

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

/** From one port somebody may connect to each address of ours, and so stand beside a connection of their own. */
test('two connections from one and the same port to two addresses are told apart', async () => {
  const server = createServer()
  const arrived: Socket[] = []
  server.on('connection', (socket) => void arrived.push(socket.on('error', () => {})))
  await once(server.listen(0, '0.0.0.0'), 'listening')
  const { port } = server.address() as AddressInfo
  stops.push(() => void server.close())
  const open = async (host: string, localPort?: number) => {
    const before = arrived.length
    const socket = connect({ port, host, localAddress: '127.0.0.1', ...(localPort !== undefined && { localPort }) })
    stops.push(() => socket.destroy())
    await once(socket, 'connect')
    await expect.poll(() => arrived.length).toBe(before + 1)
    return socket
  }
  const first = await open('127.0.0.1')
  await open('127.0.0.2', first.localPort)
  const [one, other] = arrived
  if (!one || !other) return expect.unreachable('both have come')
  expect([one.remoteAddress, one.remotePort]).toEqual([other.remoteAddress, other.remotePort])
  expect(connectionId(one)).not.toBe(connectionId(other))
})
