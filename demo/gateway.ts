import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { audiences } from './authorization-server.ts'

/** One line of the gateway's log. */
export type LogLine = Readonly<Record<string, unknown>>

export interface Gateway {
  /** Where a listener accepts, as a URL. */
  url(listener: string): string
  /** The first line, from the given position of the log on, for which `wanted` holds; rejects after 5 s. */
  logged(wanted: (line: LogLine) => boolean, from?: number): Promise<LogLine>
  /** How many lines the log has. */
  logLength(): number
  /** Resolves once it has ended. */
  stop(): Promise<void>
}

/** Where its neighbours are. */
export interface Neighbours {
  readonly authorizationServer: string
  readonly countries: string
  readonly customers: string
  /** With it, tokens are shared in a Redis, under names that begin with this. */
  readonly redisKeyPrefix?: string | undefined
}

/** The configuration that the demo runs with. Port 0 picks a free one. */
export function gatewayYaml({ authorizationServer, countries, customers, redisKeyPrefix }: Neighbours): string {
  return `listeners:
  public: { address: "127.0.0.1:0" }   # callers with a token
  legacy: { address: "127.0.0.1:0" }   # legacy services without one
admin: { address: "127.0.0.1:0" }

authorization_servers:
  demo:
    issuer: ${authorizationServer}
    access_tokens:
      audience: ${audiences.customers}

clients:
  legacy-reports:
    authorization_server: demo
    client_id: legacy-reports
    client_secret: \${env:LEGACY_REPORTS_SECRET}
${redisKeyPrefix === undefined ? '' : redisYaml(redisKeyPrefix)}
routes:
  # Ingress: who comes in needs a token with the right scope.
  - path: /customers/**
    listener: public
    methods: [GET]
    require: { scopes: [customer.read] }
    identity_headers: { X-Client-Id: client_id }
    upstream: ${customers}
  - path: /customers/**
    listener: public
    methods: [PUT]
    require: { scopes: [customer.write] }
    identity_headers: { X-Client-Id: client_id }
    upstream: ${customers}
  - path: /docs/**
    listener: public
    public: true
    upstream: ${customers}

  # Egress: what comes from this machine goes out with a token.
  - name: countries
    path: /countries/**
    listener: legacy
    callers: { networks: [loopback] }
    token: { client: legacy-reports, scopes: [country.read], resource: ${audiences.countries} }
    upstream: ${countries}
`
}

function redisYaml(keyPrefix: string): string {
  return `
token_cache:
  redis:
    url: \${env:REDIS_URL}
    encryption_keys: ["\${env:CACHE_KEY}"]
    key_prefix: "${keyPrefix}"
`
}

/** What a configuration reads from the environment. */
type Environment = Readonly<Record<string, string>>

const projectFolder = fileURLToPath(new URL('..', import.meta.url))
const program = join('src', 'cli', 'main.ts')

/** Starts `scopegate serve` as a process of its own, and waits until it accepts. */
export async function startGateway(configFile: string, environment: Environment): Promise<Gateway> {
  const child = spawn(process.execPath, [program, 'serve', '--config', configFile], {
    cwd: projectFolder,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const log = followLog(child)
  try {
    await log.logged((line) => line.msg === 'ready')
  } catch (error) {
    await endOf(child)
    throw error
  }
  const ports = new Map(log.lines.filter((line) => line.msg === 'listening').map((line) => [line.listener, line.port]))
  return {
    url: (listener) => `http://127.0.0.1:${ports.get(listener)}`,
    logged: log.logged,
    logLength: () => log.lines.length,
    stop: () => endOf(child),
  }
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  await gone
}

function followLog(child: ChildProcess) {
  const lines: LogLine[] = []
  const watchers = new Set<() => void>()
  if (child.stdout) {
    createInterface(child.stdout).on('line', (text) => {
      lines.push(JSON.parse(text) as LogLine)
      for (const look of watchers) look()
    })
  }
  const logged = (wanted: (line: LogLine) => boolean, from = 0) =>
    new Promise<LogLine>((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer)
        child.off('exit', ended)
        watchers.delete(look)
        settle()
      }
      const look = () => {
        const found = lines.slice(from).find(wanted)
        if (found) finish(() => resolve(found))
      }
      const ended = () => finish(() => reject(new Error('the gateway has ended')))
      const timer = setTimeout(() => finish(() => reject(new Error('the gateway logged nothing of it'))), 5000)
      watchers.add(look)
      child.once('exit', ended)
      look()
    })
  return { lines, logged }
}

/** The command line that checks a file, as a person would type it in the project's folder. */
export function checkCommand(
  configFile: string,
  { LEGACY_REPORTS_SECRET: secret, CACHE_KEY: key }: Environment,
): string {
  // The real key of a token cache, and a URL that may hold a password, are shown to nobody, and `check` takes any.
  const cache = key === undefined ? '' : `CACHE_KEY=${'A'.repeat(key.length)} REDIS_URL=redis://127.0.0.1:6379 `
  return `LEGACY_REPORTS_SECRET=${secret} ${cache}node_modules/.bin/node ${program} check --config ${configFile}`
}

/** Runs `scopegate check` on a text, written to the given file. */
export function checkYaml(
  configFile: string,
  text: string,
  environment: Environment,
): { readonly exitCode: number | null; readonly printed: string } {
  writeFileSync(configFile, text)
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'check', '--config', configFile], {
    cwd: projectFolder,
    env: { ...process.env, ...environment },
    encoding: 'utf8',
  })
  return { exitCode: status, printed: `${stdout}${stderr}`.trim() }
}
