import type { AddressInfo, Server, Socket } from 'node:net'

/** A server of the harness, listening on 127.0.0.1. */
export interface Listening {
  readonly port: number
  /** Stops it and cuts every connection; may be called twice. */
  stop(): Promise<void>
}

/** Lets a server listen on a free port, or on the given one, of 127.0.0.1. */
export async function listen(server: Server, port = 0): Promise<Listening> {
  const sockets = new Set<Socket>()
  for (const event of ['connection', 'secureConnection']) {
    server.on(event, (socket: Socket) => {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => sockets.delete(socket))
    })
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
