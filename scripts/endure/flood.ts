/** A process of its own, so that who floods and who measures do not share a thread: `flood.ts PORT SECONDS`, tokens on standard input, one a line. Prints how many were answered with each status, as JSON. */
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'

const [port = 0, seconds = 0] = process.argv.slice(2).map(Number)
const tokens = (await text(process.stdin)).split('\n').filter((line) => line !== '')
const end = performance.now() + seconds * 1000
const connections = 40
const statuses: Record<string, number> = {}

let next = 0
const request = () =>
  `GET /guarded HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${tokens[next++ % tokens.length]}\r\n\r\n`

function flood(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(request(), 'latin1'))
    socket.on('data', (piece: Buffer) => {
      // Each answer has its status line in a piece of its own: the next request is sent behind it.
      const status = /^HTTP\/1\.1 (\d{3})/.exec(piece.toString('latin1'))?.[1] ?? 'other'
      statuses[status] = (statuses[status] ?? 0) + 1
      if (performance.now() > end) socket.destroy()
      else socket.write(request(), 'latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve())
  })
}

await Promise.all(
  Array.from({ length: connections }, async () => {
    while (performance.now() < end) await flood()
  }),
)
process.stdout.write(JSON.stringify(statuses))
