import { request as createRequest, createServer } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { listen } from '../../test/harness/listen.ts'
import type { RunningNode } from '../processes.ts'
import { cpuSeconds, memoryOf } from '../usage.ts'
import type { Stage } from './stage.ts'
import { listener } from './tokens.ts'
import { median } from './turns.ts'
import { asMebibytes, asRatio, atLeast, atMost, type Verdict } from './verdict.ts'

const piece = Buffer.alloc(64 * 1024, 'x')
/** Each way, by turns with the bare proxy's. */
const rounds = 3
const lookInterval = 50

type Way = 'upload' | 'download'
type Length = 'content-length' | 'chunked'

/** Whether bodies stream: how much memory grows while large ones pass, and how fast they do beside the bare proxy. */
export async function* bodies(stage: Stage): AsyncGenerator<Verdict> {
  const upstream = await startBodyUpstream()
  stage.atEnd(() => upstream.stop())
  const url = `http://127.0.0.1:${upstream.port}`
  const gateway = await stage.startGateway(`${listener}\nroutes: [{ path: /**, public: true, upstream: "${url}" }]\n`)
  const bare = await stage.start([fileURLToPath(new URL('../proxies.ts', import.meta.url)), 'bare'], { UPSTREAM: url })
  const each = Math.ceil(stage.bodyBytes / rounds)
  for (const way of ['upload', 'download'] as const) {
    for (const length of ['content-length', 'chunked'] as const) {
      for (const running of [gateway, bare]) await send(running, way, length, each / 8)
      const mine: Sent[] = []
      const theirs: Sent[] = []
      for (let round = 0; round < rounds; round++) {
        mine.push(await send(gateway, way, length, each))
        theirs.push(await send(bare, way, length, each))
      }
      yield* compareSent(`${way}, ${length}`, mine, theirs)
    }
  }
}

function* compareSent(what: string, mine: readonly Sent[], theirs: readonly Sent[]): Generator<Verdict> {
  const ratio = (figure: 'perSecond' | 'cpu') =>
    median(mine.map((sent, at) => sent[figure] / (theirs[at]?.[figure] ?? Number.NaN)))
  const speeds = [mine, theirs].map((all) => `${asMebibytes(median(all.map(({ perSecond }) => perSecond)))}/s`)
  yield atLeast({
    what: `${what}: throughput to that of the bare proxy`,
    ...{ value: ratio('perSecond'), must: 0.9, write: asRatio },
    more: `${speeds.join(' and ')}, CPU ${asRatio(ratio('cpu'))}`,
  })
  // From the lowest to the highest of all rounds, so that what is not given back in between shows.
  const growth = (all: readonly Sent[]) =>
    Math.max(...all.map(({ most }) => most)) - Math.min(...all.map(({ before }) => before))
  yield atMost({
    what: `${what}: growth of PSS`,
    ...{ value: growth(mine), must: 20 * 1024 ** 2, write: asMebibytes, more: `bare ${asMebibytes(growth(theirs))}` },
  })
}

interface Sent {
  readonly perSecond: number
  /** Seconds. */
  readonly cpu: number
  /** PSS before, and the highest meanwhile. */
  readonly before: number
  readonly most: number
}

/** One body through a proxy; the other side counts, and answers with, what has arrived. */
async function send({ pid, port }: RunningNode, way: Way, length: Length, wanted: number): Promise<Sent> {
  const bytes = Math.ceil(wanted / piece.length) * piece.length
  const before = memoryOf(pid)
  let most = before
  const watch = setInterval(() => {
    most = Math.max(most, memoryOf(pid))
  }, lookInterval)
  const cpu = cpuSeconds(pid)
  const startedAt = performance.now()
  const arrived = way === 'upload' ? await upload(port, length, bytes) : await download(port, length, bytes)
  const seconds = (performance.now() - startedAt) / 1000
  clearInterval(watch)
  if (arrived !== bytes) throw new Error(`${arrived} bytes arrived, of ${bytes}`)
  const sent = { perSecond: bytes / seconds, cpu: cpuSeconds(pid) - cpu, before, most: Math.max(most, memoryOf(pid)) }
  await pause(200)
  return sent
}

async function upload(port: number, length: Length, bytes: number): Promise<number> {
  const headers = length === 'chunked' ? { 'transfer-encoding': 'chunked' } : { 'content-length': bytes }
  const request = createRequest({ port, host: '127.0.0.1', method: 'PUT', path: '/files/1', headers })
  const [{ text }] = await Promise.all([readAll(request), writePieces(request, bytes)])
  return Number(text)
}

async function download(port: number, length: Length, bytes: number): Promise<number> {
  const request = createRequest({ port, host: '127.0.0.1', path: `/files/${length}/${bytes}` })
  const answer = readAll(request)
  request.end()
  return (await answer).bytes
}

/** The size of the answer's body, and how it begins. */
function readAll(
  request: ReturnType<typeof createRequest>,
): Promise<{ readonly bytes: number; readonly text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ bytes: number; text: string }>()
  request.once('error', reject)
  request.once('response', (answer) => {
    let [bytes, text] = [0, '']
    answer.on('data', (part: Buffer) => {
      if (bytes === 0) text = part.toString('latin1', 0, 20)
      bytes += part.length
    })
    answer.once('error', reject)
    answer.once('end', () => resolve({ bytes, text }))
  })
  return promise
}

async function writePieces(to: NodeJS.WritableStream, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; left -= piece.length)
    if (!to.write(piece)) await new Promise((resolve) => to.once('drain', resolve))
  to.end()
}

/** Takes bodies and counts them, and gives as many bytes as the path says. */
function startBodyUpstream() {
  return listen(
    createServer((request, response) => {
      const [, length = '', bytes] = /^\/files\/([a-z-]+)\/(\d+)$/.exec(request.url ?? '') ?? []
      let arrived = 0
      request.on('data', (part: Buffer) => {
        arrived += part.length
      })
      request.once('end', () => {
        if (bytes === undefined) return response.end(String(arrived))
        response.writeHead(200, length === 'chunked' ? {} : { 'content-length': bytes })
        return void writePieces(response, Number(bytes))
      })
    }),
  )
}
