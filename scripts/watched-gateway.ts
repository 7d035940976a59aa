import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createLeakFinder } from '../test/harness/leaks.ts'

const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
const mostStartMilliseconds = 15_000

export interface WatchedGatewayWish {
  readonly yaml: string
  /** Beside the configuration, by name. */
  readonly files?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  /** What no log line may contain. */
  readonly secrets?: readonly string[]
  readonly nodeArgs?: readonly string[]
}

/** `scopegate serve` as a process of its own, whose log is looked at line by line as it comes, and not kept. */
export interface WatchedGateway {
  /** Where each listener accepts. */
  readonly ports: ReadonlyMap<string, number>
  /** How many log lines of requests there were with each code. */
  readonly codes: ReadonlyMap<string, number>
  /** What must not have happened, one sentence each: an end of the process, a secret in a line, an unforeseen error. */
  readonly faults: readonly string[]
  /** The sum of all series of that name on /metrics. */
  metric(name: string): Promise<number>
  /** What it holds of the machine, as Linux tells it: bytes of memory, and open files and sockets. */
  usage(): Promise<{ readonly memory: number; readonly handles: number }>
  stop(): Promise<void>
}

const mostFaults = 50

/** Starts one, and waits until it is ready. The configuration names its listeners; `admin` must be one of them. */
export async function startWatchedGateway(wish: WatchedGatewayWish): Promise<WatchedGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'scopegate-watched-'))
  const file = join(folder, 'scopegate.yaml')
  for (const [name, text] of Object.entries(wish.files ?? {})) await writeFile(join(folder, name), text)
  await writeFile(file, wish.yaml)
  const child = spawn(process.execPath, [...(wish.nodeArgs ?? []), main, 'serve', '--config', file], {
    env: { ...process.env, ...wish.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = once(child, 'close')
  const log = watchLog(child, wish.secrets ?? [])
  const { pid = 0 } = child
  const stop = async () => {
    log.stopping()
    child.kill('SIGKILL')
    await closed
    await rm(folder, { recursive: true, force: true })
  }
  const ready = await Promise.race([
    log.ready.then(() => true),
    closed.then(() => false),
    new Promise<false>((resolve) => setTimeout(resolve, mostStartMilliseconds, false).unref()),
  ])
  if (!ready) {
    await stop()
    throw new Error(`the gateway did not start: ${log.faults.join('\n')}`)
  }
  return {
    ports: log.ports,
    codes: log.codes,
    faults: log.faults,
    metric: (name) => readMetric(log.ports.get('admin') ?? 0, name),
    usage: () => usageOf(pid),
    stop,
  }
}

function watchLog(child: ChildProcess, secrets: readonly string[]) {
  const findLeaks = createLeakFinder(secrets)
  const ports = new Map<string, number>()
  const codes = new Map<string, number>()
  const faults: string[] = []
  const { promise: ready, resolve } = Promise.withResolvers<void>()
  let stopping = false
  const fault = (text: string) => {
    if (faults.length < mostFaults) faults.push(text)
  }
  const look = (line: string) => {
    const entry = parseLine(line)
    if (!entry) return fault(`a log line that is no JSON: ${line.slice(0, 500)}`)
    const { path, ...rest } = entry
    if (typeof path === 'string' && path.includes('?')) fault(`a query in the log: ${line.slice(0, 500)}`)
    // The path is the caller's own text, and may hold what it likes.
    for (const leak of findLeaks(path === undefined ? line : JSON.stringify(rest)))
      fault(`${leak}: ${line.slice(0, 500)}`)
    if (typeof entry.code === 'string') codes.set(entry.code, (codes.get(entry.code) ?? 0) + 1)
    if (entry.code === 'internal_error') fault(`an unforeseen error: ${line.slice(0, 2000)}`)
    if (entry.msg === 'log lines dropped') codes.set('log lines dropped', (codes.get('log lines dropped') ?? 0) + 1)
    if (entry.msg === 'listening') ports.set(String(entry.listener), Number(entry.port))
    if (entry.msg === 'ready') resolve()
  }
  if (child.stdout) createInterface({ input: child.stdout }).on('line', look)
  // Uncaught errors, warnings of leaks and of what is deprecated: nothing of it belongs there.
  if (child.stderr) createInterface({ input: child.stderr }).on('line', (line) => fault(`on standard error: ${line}`))
  child.once('exit', (code, signal) => {
    if (!stopping) fault(`the process ended (${signal ?? code})`)
  })
  return {
    ports,
    codes,
    faults,
    ready,
    stopping() {
      stopping = true
    },
  }
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
}

async function readMetric(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const values = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
  return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

async function usageOf(pid: number): Promise<{ readonly memory: number; readonly handles: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? []
  return { memory: Number(kibibytes) * 1024, handles: (await readdir(`/proc/${pid}/fd`)).length }
}
