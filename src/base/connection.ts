import type { Socket } from 'node:net'

/**
 * What tells a connection from every other that is open: both of its ends. The socket of a TLS connection takes the place of
 * the one that its handshake went over, and has the same. The far end alone would not do: from one port somebody may
 * connect to several addresses of ours.
 */
export function connectionId({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}
