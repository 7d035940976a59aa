import { connect, type Socket } from 'node:net'

/** The key of RFC 6455 section 1.3, and the only answer to it. */
export const sampleKey = 'dGhlIHNhbXBsZSBub25jZQ=='
export const sampleAccept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

/** The bytes of a request for a WebSocket that is as it should be, with these header lines. */
export function socketRequest(path: string, ...headers: string[]): string {
  const lines = [
    'Host: 127.0.0.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${sampleKey}`,
    ...headers,
  ]
  return `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
}

/** The upstream's answer to it, with these header lines. */
export function socketAnswer(...headers: string[]): string {
  const lines = ['Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Accept: ${sampleAccept}`, ...headers]
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`
}

/** One connection, byte by byte (latin1). */
export interface RawConnection {
  readonly socket: Socket
  /** All that came. */
  received(): string
  /** Resolves once that holds for what came. Rejects after five seconds, or when the connection ends before. */
  until(holds: (received: string) => boolean): Promise<void>
  /** Resolves once the connection is closed, with all that came. */
  readonly closed: Promise<string>
}

export function openConnection(port: number, bytes = ''): RawConnection {
  let received = ''
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  socket.on('data', (piece: Buffer) => {
    received += piece.toString('latin1')
  })
  socket.write(bytes, 'latin1')
  const closed = new Promise<string>((resolve) => socket.on('close', () => resolve(received)))
  socket.on('end', () => socket.end())
  return {
    socket,
    received: () => received,
    closed,
    async until(holds) {
      const end = performance.now() + 5000
      while (!holds(received)) {
        if (socket.destroyed || performance.now() > end) throw new Error(`it did not come, but: ${received}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
  }
}
