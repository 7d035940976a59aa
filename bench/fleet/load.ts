import { Agent, get } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

/** One request of the load. */
export interface Asked {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly milliseconds: number
  /** 0 where there was no answer. */
  readonly status: number
}

export interface FleetLoadOptions {
  readonly ports: readonly number[]
  readonly paths: readonly string[]
  /** Of all gateways together, once each of them has been asked for every path. */
  readonly perSecond: number
}

export interface FleetLoad {
  readonly asked: readonly Asked[]
  /** Every gateway is asked for every path, as fast as it answers, and then for one after the other. */
  begin(): void
  /** Resolves once every request is answered. */
  pause(): Promise<void>
  stop(): Promise<void>
}

const lanesOfEach = 32
const patience = 30_000

/** Asks all gateways for all paths, each in the same order at the same time: they never want a token one after the other. */
export function createFleetLoad({ ports, paths, perSecond }: FleetLoadOptions): FleetLoad {
  const agents = ports.map(() => new Agent({ keepAlive: true, maxSockets: lanesOfEach }))
  const asked: Asked[] = []
  let running: Promise<unknown> = Promise.resolve()
  let beginning = 0

  async function lane(agent: Agent, port: number, next: () => number, mine: number): Promise<void> {
    for (;;) {
      const number = next()
      const path = paths[number % paths.length] ?? '/'
      const due = ((number - paths.length) / (perSecond / ports.length)) * 1000
      const wait = startedAt + Math.max(0, due) - Date.now()
      if (wait > 0) await pause(wait)
      if (beginning !== mine) return
      const at = Date.now()
      const before = performance.now()
      const status = await statusOf(agent, port, path)
      asked.push({ at, milliseconds: performance.now() - before, status })
    }
  }

  let startedAt = 0
  const end = () => {
    beginning += 1
    return running
  }
  return {
    asked,
    begin() {
      startedAt = Date.now()
      const mine = ++beginning
      running = Promise.all(
        ports.flatMap((port, index) => {
          let number = 0
          const agent = agents[index]
          return agent ? Array.from({ length: lanesOfEach }, () => lane(agent, port, () => number++, mine)) : []
        }),
      )
    },
    pause: async () => void (await end()),
    async stop() {
      await end()
      for (const agent of agents) agent.destroy()
    },
  }
}

function statusOf(agent: Agent, port: number, path: string): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>()
  const request = get({ agent, host: '127.0.0.1', port, path, timeout: patience }, (answer) => {
    answer.resume().once('close', () => resolve(answer.complete ? (answer.statusCode ?? 0) : 0))
  })
  request.once('timeout', () => request.destroy())
  request.once('error', () => resolve(0))
  return promise
}
