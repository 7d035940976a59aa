import { Agent, request } from 'node:http'

/** How good requests fared meanwhile. */
export interface Fared {
  readonly sent: number
  readonly failed: number
  /** Milliseconds. */
  readonly median: number
  readonly p99: number
}

export interface Load {
  stop(): Promise<Fared>
}

const perSecond = 100
const connections = 20

/** Good requests, each with a token, a constant number a second over connections that are kept. */
export function startLoad(port: number, token: string): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'fifo' })
  const times: number[] = []
  const underWay = new Set<Promise<void>>()
  const start = performance.now()
  let sent = 0
  let failed = 0
  const send = () => {
    sent++
    const one = ask(port, token, agent).then(({ status, milliseconds }) => {
      times.push(milliseconds)
      if (status !== 200) failed++
      underWay.delete(one)
    })
    underWay.add(one)
  }
  // All of its connections are there before the others come.
  for (let count = 0; count < connections; count++) send()
  const timer = setInterval(() => {
    while (sent < connections + ((performance.now() - start) / 1000) * perSecond && underWay.size < 500) send()
  }, 10)
  return {
    async stop() {
      clearInterval(timer)
      await Promise.all(underWay)
      agent.destroy()
      times.sort((one, other) => one - other)
      const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
      return { sent, failed, median: at(0.5), p99: at(0.99) }
    },
  }
}

function ask(port: number, token: string, agent: Agent): Promise<{ status: number; milliseconds: number }> {
  const start = performance.now()
  return new Promise((resolve) => {
    const end = (status: number) => resolve({ status, milliseconds: performance.now() - start })
    const headers = { authorization: `Bearer ${token}` }
    request({ host: '127.0.0.1', port, path: '/guarded', agent, headers }, (response) => {
      response.resume().on('end', () => end(response.statusCode ?? 0))
      response.on('error', () => end(0))
    })
      .on('error', () => end(0))
      .end()
  })
}
