import { Agent, request } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** How one request ended. */
export interface Answered {
  /** 0 where there was no answer. */
  readonly status: number
  readonly milliseconds: number
  readonly retryAfter: string | undefined
  readonly body: string
}

export interface AskWish {
  readonly port: number
  readonly path: string
  readonly agent?: Agent | undefined
  readonly signal?: AbortSignal | undefined
}

/** One GET to 127.0.0.1. Never rejects: that there is no answer is what came of it. */
export function get({ port, path, agent, signal }: AskWish): Promise<Answered> {
  const start = performance.now()
  return new Promise((resolve) => {
    const end = (status: number, body: string, retryAfter?: string) =>
      resolve({ status, body, retryAfter, milliseconds: performance.now() - start })
    request({ host: '127.0.0.1', port, path, agent, signal }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => void pieces.push(piece))
      response.on('end', () =>
        end(response.statusCode ?? 0, Buffer.concat(pieces).toString(), response.headers['retry-after']),
      )
      response.on('error', (error) => end(0, String(error)))
    })
      .on('error', (error) => end(0, String(error)))
      .end()
  })
}

/** So many at once, each on a connection of its own. */
export function getAtOnce(count: number, wish: AskWish): Promise<Answered[]> {
  const agent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY })
  return Promise.all(Array.from({ length: count }, () => get({ ...wish, agent })))
}

export interface LoadResult {
  readonly answers: readonly Answered[]
  /** Those that were not answered 200. */
  readonly failed: readonly Answered[]
  readonly median: number
  readonly p99: number
  readonly slowest: number
  /** The longest that this process, which measures, was itself held up. */
  readonly ownDelay: number
}

export interface LoadWish {
  readonly ports: readonly number[]
  readonly paths: readonly string[]
  readonly perSecond: number
}

const tick = 5
/** More than these are not sent until some are answered: who measures must not be what breaks. */
const mostUnderWay = 500

/** A constant number of requests a second, whether they are answered or not, over ports and paths in turn. */
export function startLoad({ ports, paths, perSecond }: LoadWish): { stop(): Promise<LoadResult> } {
  const agent = new Agent({ keepAlive: true, maxSockets: mostUnderWay })
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const answers: Answered[] = []
  const underWay = new Set<Promise<void>>()
  const start = performance.now()
  let sent = 0
  const timer = setInterval(() => {
    const due = ((performance.now() - start) / 1000) * perSecond
    for (; sent < due && underWay.size < mostUnderWay; sent++) {
      const port = ports[sent % ports.length] ?? 0
      const path = paths[Math.floor(sent / ports.length) % paths.length] ?? '/'
      const one = get({ port, path, agent }).then((answer) => {
        answers.push(answer)
        underWay.delete(one)
      })
      underWay.add(one)
    }
  }, tick)
  return {
    async stop() {
      clearInterval(timer)
      await Promise.all(underWay)
      agent.destroy()
      delay.disable()
      const times = answers.map(({ milliseconds }) => milliseconds).sort((one, other) => one - other)
      const at = (part: number) => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? 0
      return {
        answers,
        failed: answers.filter(({ status }) => status !== 200),
        median: at(0.5),
        p99: at(0.99),
        slowest: at(1),
        ownDelay: delay.max / 1e6,
      }
    },
  }
}
