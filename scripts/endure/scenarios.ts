import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createSigningKey, createToken } from '../../test/harness/tokens.ts'
import { socketRequest } from '../../test/harness/web-socket.ts'
import { type Fared, startLoad } from './load.ts'
import { type Held, hold, holdMany } from './sockets.ts'
import { bodyIdleSeconds, type EnduranceStage } from './stage.ts'

/** What came of a scenario. */
export interface Endured {
  readonly kept: boolean
  readonly figures: string
}

export type Scenario = (stage: EnduranceStage) => Promise<Endured>

/** The defaults of a listener. */
const headersSeconds = 10
const mostConnections = 10_000
/** Good requests are still served well: not at this machine's best, but not felt as an outage either. */
const mostP99 = 2000

const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`
const faredWell = ({ sent, failed, p99 }: Fared) => sent > 0 && failed === 0 && p99 < mostP99
const tell = ({ sent, failed, median, p99 }: Fared) =>
  `${sent} good requests, ${failed} failed, p50 ${median.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`
const largest = (numbers: readonly number[]) => numbers.reduce((most, each) => Math.max(most, each), 0)

/** While good requests come in; `work` gives back what it found out. */
async function underLoad(stage: EnduranceStage, work: () => Promise<Endured>): Promise<Endured> {
  const load = startLoad(stage.ports.main, stage.token)
  const { kept, figures } = await work()
  const fared = await load.stop()
  return { kept: kept && faredWell(fared), figures: `${figures}; ${tell(fared)}` }
}

async function endAll(all: readonly Held[]): Promise<void> {
  for (const { socket } of all) socket.destroy()
  await Promise.all(all.map(({ closed }) => closed))
}

export const scenarios: Readonly<Record<string, Scenario>> = {
  'slow headers are closed within the limit plus 1 s': (stage) =>
    underLoad(stage, async () => {
      const count = 500
      const all = Array.from({ length: count }, (_, index) => {
        // A fifth of them never says a word.
        const held = hold(stage.ports.main, index % 5 === 0 ? '' : 'GET /open/a HTTP/1.1\r\nX: ')
        if (index % 5 === 0) return held
        const timer = setInterval(() => held.socket.write('y'), 1000)
        void held.closed.then(() => clearInterval(timer))
        return held
      })
      const limit = (headersSeconds + 5) * 1000
      const times = await Promise.all(all.map(({ closed }) => Promise.race([closed, pause(limit, limit)])))
      const answered = all.filter(({ received }) => received().startsWith('HTTP/1.1 408')).length
      await endAll(all)
      return {
        kept: largest(times) <= (headersSeconds + 1) * 1000 && answered === count,
        figures: `${count} connections, limit ${headersSeconds} s, the last closed after ${seconds(largest(times))}, ${answered} answered 408`,
      }
    }),

  'slow bodies are answered 408 once they are silent for too long, and honest ones are not': (stage) =>
    underLoad(stage, async () => {
      const count = 500
      const head = 'POST /open/upload HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 20\r\n\r\n'
      const silent = Array.from({ length: count }, () => hold(stage.ports.brief, `${head}x`))
      const honest = hold(stage.ports.brief, head)
      const timer = setInterval(() => honest.socket.write('y'), 400)
      const limit = (bodyIdleSeconds + 5) * 1000
      const times = await Promise.all(silent.map(({ closed }) => Promise.race([closed, pause(limit, limit)])))
      const answered = silent.filter(({ received }) => received().startsWith('HTTP/1.1 408')).length
      const finished = await honest.has('welcome')
      clearInterval(timer)
      await endAll([...silent, honest])
      return {
        kept: largest(times) <= (bodyIdleSeconds + 2) * 1000 && answered === count && finished,
        figures: `${count} bodies, limit ${bodyIdleSeconds} s, the last closed after ${seconds(largest(times))}, ${answered} answered 408; one of a byte each 400 ms ${finished ? 'finished' : 'did NOT finish'}`,
      }
    }),

  '1,000 idle event streams, and their upstream requests end within 1.5 s when all callers leave': (stage) =>
    underLoad(stage, async () => {
      const count = 1000
      const bytes = 'GET /open/events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n'
      const { all, ready } = await holdMany(count, { port: stage.ports.main, bytes, until: 'first' })
      await pause(5000)
      for (const response of stage.held) response.write('data: second\n\n')
      const found = await Promise.all(all.map((each) => each.has('second')))
      const alive = found.filter(Boolean).length
      const left = await leave(stage, all)
      return {
        kept: ready === count && alive === count && left.all && left.milliseconds <= 1500,
        figures: `${ready} opened, ${alive} alive after 5 s, the last upstream request ended ${seconds(left.milliseconds)} after its caller had left`,
      }
    }),

  '1,000 idle WebSockets': (stage) =>
    underLoad(stage, async () => {
      const count = 1000
      const { all, ready } = await holdMany(count, {
        port: stage.ports.main,
        bytes: socketRequest('/socket'),
        until: 'HTTP/1.1 101',
      })
      await pause(5000)
      for (const { socket } of all) socket.write('\x81\x04ping')
      const found = await Promise.all(all.map((each) => each.has('ping')))
      const alive = found.filter(Boolean).length
      await endAll(all)
      return { kept: ready === count && alive === count, figures: `${ready} opened, ${alive} alive after 5 s` }
    }),

  '10,000 idle connections; the next one is refused with 503, and those that are there go on': async (stage) => {
    const load = startLoad(stage.ports.main, stage.token)
    await pause(500)
    const open = await stage.gateway.metric('scopegate_requests_total')
    const own = 20
    const bytes = 'GET /open/a HTTP/1.1\r\nHost: a\r\n\r\n'
    const start = performance.now()
    const { all, ready } = await holdMany(mostConnections - own, { port: stage.ports.main, bytes, until: 'welcome' })
    const filling = performance.now() - start
    const further = hold(stage.ports.main, bytes)
    const refused = await further.has('too_many_connections')
    await pause(5000)
    const stillOpen = all.filter(({ socket }) => !socket.destroyed).length
    const { memory, handles } = await stage.gateway.usage()
    const fared = await load.stop()
    await endAll([...all, further])
    return {
      kept: open > 0 && ready === all.length && refused && stillOpen === all.length && faredWell(fared),
      figures: `${ready} filled in ${seconds(filling)}, ${stillOpen} open after 5 s, the next ${refused ? 'refused' : 'NOT refused'}, ${handles} files and sockets, ${mebibytes(memory)}; ${tell(fared)}`,
    }
  },

  'a flood of invalid tokens': (stage) =>
    underLoad(stage, async () => {
      const floodSeconds = 15
      const before = stage.sso.requestsTo('jwks').length
      const answers = await flood(stage, floodSeconds)
      const asked = stage.sso.requestsTo('jwks').length - before
      const refusals = answers['401'] ?? 0
      const others = Object.entries(answers).filter(([status]) => status !== '401')
      return {
        kept: refusals > 1000 && others.length === 0 && asked <= floodSeconds / 10 + 1,
        figures: `${refusals} refused in ${floodSeconds} s, ${others.length === 0 ? 'nothing else answered' : JSON.stringify(others)}, keys fetched ${asked} times`,
      }
    }),

  'a caller that goes away ends its upstream request within 1.5 s': (stage) =>
    underLoad(stage, async () => {
      const count = 200
      const all = Array.from({ length: count }, (_, index) =>
        hold(
          stage.ports.main,
          index % 2 === 0
            ? 'GET /open/never HTTP/1.1\r\nHost: a\r\n\r\n'
            : 'POST /open/never HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx',
        ),
      )
      const end = performance.now() + 10_000
      while (stage.held.size < count && performance.now() < end) await pause(10)
      const arrived = stage.held.size
      const left = await leave(stage, all)
      return {
        kept: arrived === count && left.all && left.milliseconds <= 1500,
        figures: `${arrived} requests that were never answered, half of them with a body under way; the last ended after ${seconds(left.milliseconds)}`,
      }
    }),
}

export const mebibytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(0)} MiB`

/** All callers go at once: how long until the upstream has been told of each. */
async function leave(stage: EnduranceStage, all: readonly Held[]) {
  const start = performance.now()
  for (const { socket } of all) socket.destroy()
  while (stage.held.size > 0 && performance.now() - start < 5000) await pause(5)
  const gone = stage.held.size === 0
  return { all: gone, milliseconds: gone ? Math.max(0, stage.lastLeft() - start) : performance.now() - start }
}

/** Tokens of every kind that costs something: bad signatures under a known key, unknown keys, and what is no token. */
async function flood({ ports, sso, token }: EnduranceStage, floodSeconds: number): Promise<Record<string, number>> {
  const [head = '', body = '', signature = ''] = token.split('.')
  const foreign = createSigningKey('ES256', 'unknown')
  const claims = { iss: sso.issuer, aud: 'any', exp: Math.floor(Date.now() / 1000) + 600, scope: 'customer.read' }
  const tokens = Array.from({ length: 3000 }, (_, index) => {
    if (index % 3 === 0) return `${head}.${body}.${flip(signature, index)}`
    if (index % 3 === 1)
      return createToken(foreign, { claims: { ...claims, jti: index }, header: { kid: `unknown-${index}` } })
    return `${'a'.repeat(index)}.b.c`
  })
  const file = fileURLToPath(new URL('flood.ts', import.meta.url))
  const child = spawn(process.execPath, [file, String(ports.main), String(floodSeconds)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin.end(tokens.join('\n'))
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')])
  return JSON.parse(output) as Record<string, number>
}

/** The same length and alphabet, and another signature. */
function flip(signature: string, index: number): string {
  const bytes = Buffer.from(signature, 'base64url')
  bytes.writeUInt32BE((bytes.readUInt32BE(8) ^ (index + 1)) >>> 0, 8)
  return bytes.toString('base64url')
}
