/**
 * How long scopegate takes from its start to its first answer, beside the bare proxy: `npm run bench:start [-- --rounds 15]`,
 * which builds it first. README.md tells how to read the table.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startAuthorizationServer } from '../test/harness/authorization-server.ts'
import { checkContender, createTokens } from './checks.ts'
import { startUpstream } from './load.ts'
import { layOut, median, spread } from './table.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '15' } } })
const wanted = Number(values.rounds)
if (!(wanted >= 1)) throw new RangeError('--rounds takes a number from 1 on')

interface Start {
  readonly name: string
  /** For Node. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** It is measured until it answers this request with 200; without one until it ends, with exit code 0. */
  readonly request?: string
  /** A folder that is removed before each start. */
  readonly without?: string
}

const folder = await mkdtemp(join(tmpdir(), 'scopegate-start-'))
const sso = await startAuthorizationServer({ audience: 'https://api.example.test', lifetime: 86_400 })
const upstream = await startUpstream()
const tokens = await createTokens(sso)

/** The bare proxy as plain JavaScript: that Node strips types is no part of its start. */
async function writeBareProxy(): Promise<string> {
  const strip = async (from: string, name: string) => {
    const source = stripTypeScriptTypes(await readFile(new URL(from, import.meta.url), 'utf8'))
    await writeFile(join(folder, name), source.replace('../test/harness/listen.ts', './listen.mjs'))
  }
  await strip('../test/harness/listen.ts', 'listen.mjs')
  await strip('proxies.ts', 'proxies.mjs')
  return join(folder, 'proxies.mjs')
}

async function writeConfig(name: string, more: string, route: string): Promise<string> {
  const file = join(folder, `${name}.yaml`)
  await writeFile(
    file,
    `
listeners: { main: { address: "127.0.0.1:0" } }
authorization_servers: { sso: { issuer: "${sso.issuer}", access_tokens: { audience: "https://api.example.test" } } }
${more}
routes: [{ path: /customers/**, ${route}, upstream: "http://127.0.0.1:${upstream.port}" }]
`,
  )
  return file
}

async function createStarts(): Promise<readonly Start[]> {
  const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
  const validated = 'require: { scopes: [customer.read] }'
  const plain = await writeConfig('plain', '', validated)
  const withAdmin = await writeConfig('admin', 'admin: { address: "127.0.0.1:0" }', validated)
  const client = `bench: { authorization_server: sso, client_id: "${sso.client.client_id}", client_secret: "\${env:CLIENT_SECRET}" }`
  const withClient = await writeConfig(
    'client',
    `clients: { ${client} }`,
    'callers: { networks: [loopback] }, token: { client: bench }',
  )
  const request = `GET /customers/7 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${tokens.good}\r\nConnection: close\r\n\r\n`
  const [warm, cold] = [join(folder, 'warm'), join(folder, 'cold')]
  const env = { XDG_CACHE_HOME: warm }
  const serve = [main, 'serve', '--config', plain]
  const empty = join(folder, 'empty.mjs')
  await writeFile(empty, '')
  const upstreamUrl = `http://127.0.0.1:${upstream.port}`
  return [
    { name: 'bare', args: [await writeBareProxy(), 'bare'], env: { UPSTREAM: upstreamUrl }, request },
    { name: 'serve', args: serve, env, request },
    { name: 'serve, cold', args: serve, env: { XDG_CACHE_HOME: cold }, without: cold, request },
    { name: 'serve, no cache', args: serve, env: { NODE_DISABLE_COMPILE_CACHE: '1' }, request },
    { name: 'serve, with admin', args: [main, 'serve', '--config', withAdmin], env, request },
    { name: 'token', args: [main, 'token', 'bench', '--config', withClient], env },
    { name: 'check', args: [main, 'check', '--config', plain], env },
    { name: '--version', args: [main, '--version'], env },
    { name: 'node, nothing', args: [empty], env },
  ].map((start) => ({ ...start, env: { ...start.env, CLIENT_SECRET: sso.client.client_secret } }))
}

function launch({ args, env }: Start): ChildProcess & { readonly stdout: NodeJS.ReadableStream } {
  const { NODE_COMPILE_CACHE, NODE_DISABLE_COMPILE_CACHE, ...own } = process.env
  return spawn(process.execPath, args, {
    env: { ...own, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** The port that the first line of its log names which names one. */
async function portOf(child: ReturnType<typeof launch>): Promise<number> {
  let said = ''
  for await (const piece of child.stdout.iterator({ destroyOnReturn: false })) {
    said += piece
    const port = /"port":(\d+)/.exec(said)?.[1]
    if (port !== undefined) return Number(port)
  }
  throw new Error(`it did not start: ${said}`)
}

async function firstAnswer(port: number, request: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.write(request)
  const [piece] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return piece.toString('latin1', 0, 12)
}

interface Taken {
  /** Milliseconds from its start until it has done what it is for. */
  readonly time: number
  /** Milliseconds that all of its threads have had a core until then; only of what goes on running. */
  readonly cpu: number
}

/** Takes its times, and ends it. */
async function measure(start: Start): Promise<Taken> {
  if (start.without !== undefined) await rm(start.without, { recursive: true, force: true })
  const from = performance.now()
  const child = launch(start)
  const ended = once(child, 'close')
  if (start.request === undefined) {
    child.stdout.resume()
    const [exitCode] = await ended
    if (exitCode !== 0) throw new Error(`${start.name}: exit code ${exitCode}`)
    return { time: performance.now() - from, cpu: Number.NaN }
  }
  const answer = await firstAnswer(await portOf(child), start.request)
  const taken = { time: performance.now() - from, cpu: cpuMilliseconds(child.pid ?? 0) }
  child.stdout.resume()
  // What it compiled is written when it ends.
  child.kill('SIGTERM')
  await ended
  if (answer !== 'HTTP/1.1 200') throw new Error(`${start.name}: answered ${answer}`)
  return taken
}

/** @see proc_pid_schedstat(5): nanoseconds, where /proc/PID/stat counts in hundredths of a second. */
function cpuMilliseconds(pid: number): number {
  const threads = globSync(`/proc/${pid}/task/*/schedstat`)
  return threads.reduce((sum, file) => sum + Number(readFileSync(file, 'utf8').split(' ')[0]) / 1e6, 0)
}

/** What is measured is a gateway that refuses what it must. */
async function check(start: Start): Promise<void> {
  const child = launch(start)
  const port = await portOf(child)
  child.stdout.resume()
  await checkContender({ validates: true }, { port, tokens, upstream })
  child.kill('SIGTERM')
  await once(child, 'close')
}

type Round = ReadonlyMap<string, Taken>

function tell(rounds: readonly Round[], names: readonly string[]): void {
  const rows = names.map((name) => {
    const of = (figure: keyof Taken, whose = name) => rounds.map((round) => round.get(whose)?.[figure] ?? Number.NaN)
    const ratios = (figure: keyof Taken) => {
      const bare = of(figure, 'bare')
      return of(figure).map((value, index) => value / (bare[index] ?? Number.NaN))
    }
    const shown = (value: number, digits: number) => (Number.isNaN(value) ? '' : value.toFixed(digits))
    return [
      name,
      shown(median(of('time')), 0),
      shown(Math.min(...of('time')), 0),
      shown(median(ratios('time')), 2),
      spread(ratios('time')),
      shown(median(of('cpu')), 0),
      shown(median(ratios('cpu')), 2),
    ]
  })
  process.stdout.write(`
${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${rounds.length} rounds

${layOut(['', 'ms', 'least ms', 'to R', 'least–most', 'CPU ms', 'CPU to R'], rows)}
`)
}

try {
  const starts = await createStarts()
  const [, serve] = starts
  if (serve) await check(serve)
  const rounds: Round[] = []
  // The first round fills the caches of Node and of the system, and does not count.
  for (let number = 0; number <= wanted; number++) {
    const first = number % starts.length
    const round = new Map<string, Taken>()
    for (const start of [...starts.slice(first), ...starts.slice(0, first)]) round.set(start.name, await measure(start))
    if (number > 0) rounds.push(round)
    process.stderr.write(`round ${number} of ${wanted}\n`)
  }
  tell(
    rounds,
    starts.map(({ name }) => name),
  )
} finally {
  await Promise.all([sso.stop(), upstream.stop()])
  await rm(folder, { recursive: true, force: true })
}
