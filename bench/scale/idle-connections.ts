import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { memoryOf } from '../usage.ts'
import { inTurn, requestOf } from './requests.ts'
import type { Stage } from './stage.ts'
import { listener, scope, signToken, trustedIssuer } from './tokens.ts'
import { compare } from './turns.ts'
import { asKibibytes, asRatio, atMost, told, type Verdict } from './verdict.ts'

const many = 10_000
const atOnce = 100

/** Whether a request costs more while many connections are held that nothing comes on, and what one of them takes. */
export async function* idleConnections(stage: Stage): AsyncGenerator<Verdict> {
  const yaml = `${listener}${trustedIssuer}
routes: [{ path: /customers/**, require: { scopes: [${scope}] }, upstream: "${stage.upstreamUrl}" }]
`
  const request = requestOf('/customers/7', signToken(stage.issuer.ellipticKey, 0))
  const [holding, free] = [await stage.startGateway(yaml), await stage.startGateway(yaml)]
  const before = { heap: await holding.heap(), pss: memoryOf(holding.pid) }
  const sockets: Socket[] = []
  stage.atEnd(async () => {
    for (const socket of sockets) socket.destroy()
  })
  while (sockets.length < many)
    sockets.push(...(await Promise.all(Array.from({ length: atOnce }, () => hold(holding.port, request)))))
  // Until the gateway's connections to the upstream, which as many requests at once had opened, are closed.
  await pause(5000)
  const heap = (await holding.heap()) - before.heap
  const pss = memoryOf(holding.pid) - before.pss
  yield told('PSS for each connection', asKibibytes(pss / many))
  yield atMost({ what: 'heap for each connection', value: heap / many, must: 32 * 1024, write: asKibibytes })

  const contestants = [holding, free].map((running) => ({ running, nextRequest: inTurn([request]) }))
  const [one, other] = contestants
  if (!one || !other) return
  const { ratio, more } = await compare(one, other, stage.pace)
  yield atMost({
    what: `CPU per request while ${many} connections are held to that without them`,
    ...{ value: ratio, must: 1.05, write: asRatio, more },
  })
  const open = sockets.filter((socket) => socket.readyState === 'open').length
  yield told('still open', `${open} of ${many}`)
}

/** A connection that had one request, and nothing since. */
async function hold(port: number, request: Buffer): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => socket.destroy())
  socket.write(request)
  await once(socket, 'data')
  return socket.resume()
}
