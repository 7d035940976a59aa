import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { findRedis } from './redis-binary.ts'

export interface RedisWish {
  /** A port that was used before, to come back on it. */
  readonly port?: number
  /** Further lines of redis.conf. */
  readonly config?: readonly string[]
  /** For the default user. */
  readonly password?: string
  /** Files. With them it takes TLS alone, and asks for a client certificate of this authority. */
  readonly tls?: { readonly certificate: string; readonly privateKey: string; readonly ca: string }
  /** `sentinel`: watches others instead of keeping data. */
  readonly mode?: 'sentinel'
}

/** A real Redis on 127.0.0.1, with nothing on disk that outlives it. */
export interface RunningRedis {
  readonly port: number
  readonly url: string
  readonly pid: number
  /** `host:port`. */
  readonly address: string
  /** Runs `redis-cli` with these arguments, and gives what it printed. */
  cli(...args: readonly string[]): Promise<string>
  /** SIGSTOP, SIGCONT, or SIGKILL, which this waits for. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** May be called twice, and after a kill. */
  stop(): Promise<void>
}

const execute = promisify(execFile)
const children = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/** Starts one, and resolves once it accepts connections. */
export async function startRedis(wish: RedisWish = {}): Promise<RunningRedis> {
  const { server, cli, env } = await findRedis()
  const port = wish.port ?? (await freePort())
  const folder = await mkdtemp(join(tmpdir(), 'scopegate-redis-'))
  const file = join(folder, 'redis.conf')
  await writeFile(file, configOf(wish, port, folder).join('\n'))
  const child = spawn(server, [file, ...(wish.mode === 'sentinel' ? ['--sentinel'] : [])], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  children.add(child)
  const gone = once(child, 'exit').then(() => void children.delete(child))
  const stop = async () => {
    child.kill('SIGKILL')
    await gone
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await ready(child)
  } catch (error) {
    await stop()
    throw error
  }
  const tls = wish.tls && [
    '--tls',
    '--cacert',
    wish.tls.ca,
    '--cert',
    wish.tls.certificate,
    '--key',
    wish.tls.privateKey,
  ]
  const cliEnv = { ...env, ...(wish.password !== undefined && { REDISCLI_AUTH: wish.password }) }
  return {
    port,
    url: `${wish.tls ? 'rediss' : 'redis'}://127.0.0.1:${port}`,
    address: `127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    async cli(...args) {
      const { stdout } = await execute(cli, ['-h', '127.0.0.1', '-p', String(port), ...(tls ?? []), ...args], {
        env: cliEnv,
        maxBuffer: 64 * 1024 * 1024,
      })
      return stdout.trimEnd()
    },
    async kill(signal) {
      child.kill(signal)
      if (signal === 'SIGKILL') await gone
    },
    stop,
  }
}

function configOf({ mode, password, tls, config = [] }: RedisWish, port: number, folder: string): string[] {
  const doors = tls
    ? [
        'port 0',
        `tls-port ${port}`,
        `tls-cert-file ${tls.certificate}`,
        `tls-key-file ${tls.privateKey}`,
        `tls-ca-cert-file ${tls.ca}`,
      ]
    : [`port ${port}`]
  const data = mode === 'sentinel' ? [] : ['save ""', 'appendonly no', 'repl-diskless-sync-delay 0']
  return [
    ...doors,
    'bind 127.0.0.1',
    `dir ${folder}`,
    ...data,
    ...(password === undefined ? [] : [`requirepass ${password}`, `masterauth ${password}`]),
    ...config,
    '',
  ]
}

/** It says so in its log; a port that is taken says so too, by its end. */
async function ready(child: ChildProcess): Promise<void> {
  const told: string[] = []
  if (!child.stdout) throw new TypeError('a Redis whose output nobody reads')
  for await (const line of createInterface({ input: child.stdout })) {
    told.push(line)
    if (/Ready to accept connections|Sentinel ID is/.test(line)) {
      child.stdout.resume()
      return
    }
  }
  throw new Error(`Redis did not start:\n${told.slice(-5).join('\n')}`)
}

/** Below the ports that the system gives out by itself, and with its cluster bus's, which is 10000 higher, free as well. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 2_700)
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
