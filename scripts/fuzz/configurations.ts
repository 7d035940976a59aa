import dns from 'node:dns'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { isIP } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'yaml'
import { createLog } from '../../src/base/log.ts'
import { ConfigError } from '../../src/config/config-error.ts'
import { type Config, parseConfig } from '../../src/config/load.ts'
import { createGateway } from '../../src/gateway.ts'
import { listenerEnv } from '../../test/harness/caller-certificates.ts'
import { testCertificate } from '../../test/harness/certificates.ts'
import { below, chance, pick, type Random } from '../random.ts'
import { mutate } from './mutations.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const invalid = `${root}test/config/invalid/`
/** What a file is called that is not there; keys and certificates are found beside it. */
const file = `${invalid}fuzz.yaml`

/** When the dates in it are judged. */
const now = Date.UTC(2026, 10, 1)
const hidden = 'a-secret-that-nobody-prints'
const env: Readonly<Record<string, string>> = {
  ...listenerEnv,
  ARCHIVAL_SECRET: hidden,
  BILLING_KEY: testCertificate('client').privateKey,
  SECRET: hidden,
  CACHE_KEY: Buffer.alloc(32, 7).toString('base64url'),
  HOME: '/home/somebody',
}

/** With all that the example leaves out. */
const richExample = `
listeners:
  main:
    address: 127.0.0.1:8443
    public_url: https://api.example.com
    tls: { certificate: "\${env:CERTIFICATE}", private_key: "\${env:KEY}", client_ca: "\${env:CALLERS_CA}", client_certificate: optional }
    trusted_proxies: [10.0.0.0/8, "fd00::/8"]
    timeouts: { headers: 10s, body_idle: 60s, keep_alive: 65s }
    limits: { header_size: 16KiB, headers: 100, target_length: 8KiB, body_size: 1MiB, connections: 10000 }
admin: { address: "127.0.0.1:9090" }
shutdown_grace: 30s
x-anchors: &patience { connect: 2s, response: 30s, idle: 60s }
authorization_servers:
  sso:
    issuer: https://sso.example.com
    token_endpoint: https://sso.example.com/token
    jwks_uri: https://sso.example.com/jwks
    timeout: 5s
    keys: { refresh: 10m, cooldown: 10s, keep: 24h }
    access_tokens:
      audience: [https://api.example.com]
      issuers: [https://sso.example.com]
      strict: true
      algorithms: [RS256, ES256, EdDSA]
      scope_claims: [scope, 'a.b["c.d"]']
      client_id_claims: [client_id]
      client_ids: [one, two]
      required_claims: [jti]
      max_age: 1h
      clock_tolerance: 5s
      max_token_size: 16KiB
clients:
  one: { authorization_server: sso, client_id: one, client_secret: "\${env:SECRET}", scope: a b }
  two:
    authorization_server: sso
    client_id: two
    token_endpoint_auth_method: private_key_jwt
    private_key: "\${env:BILLING_KEY}"
    assertion_audience: issuer
token_cache:
  refresh_before_expiry: 60s
  redis: { url: "redis://127.0.0.1:1/0", encryption_keys: ["\${env:CACHE_KEY}"], key_prefix: "scopegate:" }
identity_headers: { X-Client-Id: client_id }
routes:
  - { path: /a/*/b/**, host: "*.example.com", methods: [GET, POST], require: { scopes: [a], claims: { "x.y": [z] }, issuers: [sso] }, upstream: "http://a:8080" }
  - { path: /c, require: { any_scope: [a, b] }, callers: { certificates: { subjects: ["CN=a,O=b"], dns_names: [a.example], uris: ["spiffe://a/b"] } }, upstream: "http://a:8080" }
  - { path: /d/**, callers: { networks: [loopback] }, browsers: true, hosts: [a.example], token: { client: one, scopes: [a] }, upstream_401: pass, upstream: { url: "https://a.example/b", strip_prefix: /d, add_prefix: /e, host: preserve, timeouts: *patience, replay_body: 16KiB } }
  - { path: /e, require: any_token, mode: report, until: 2027-01-01, end_at_token_expiry: false, identity_headers: { X-Scope: scope }, upstream: "http://a:8080" }
  - { path: /f, public: true, forwarded_headers: false, upstream: "http://a:8080" }
`

/** Accepted as they are. */
export const goodConfigurations = [readFileSync(`${root}config/scopegate.yaml`, 'utf8'), richExample]
const broken = readdirSync(invalid)
  .filter((name) => name.endsWith('.yaml'))
  .sort()
  .map((name) => readFileSync(`${invalid}${name}`, 'utf8'))
const lines = [...new Set([...goodConfigurations, ...broken].flatMap((text) => text.split('\n')))]

const nastyScalars: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    0,
    -1,
    1.5,
    Number.POSITIVE_INFINITY,
    Number.NaN,
    2 ** 53,
    '',
    ' ',
    'a',
    'x'.repeat(5000),
    '\0',
    '\ud800',
    'é',
  ],
  ...[
    '${env:SECRET}',
    '${env:NOBODY}',
    '${env:',
    '$${',
    '${file:nobody}',
    '${file:/}',
    '${file:/dev/null}',
    '${env:A:-b}',
  ],
  ...[
    '0s',
    '5s',
    '-1s',
    '1e9h',
    '999999999999h',
    '1.5s',
    '0KiB',
    '1TiB',
    '99999999999999GiB',
    '*',
    '**',
    '/**/a',
    '//',
  ],
  ...[
    '/a/../b',
    '/%2e%2e',
    '/%zz',
    '/a?b',
    'a',
    '/a b',
    '/é',
    '/__proto__',
    'http://',
    'https://a:99999',
    'http://[::1]',
  ],
  ...[
    'http://a:b@c',
    'https://a#b',
    'ftp://a',
    'redis://',
    'unix:///x',
    '127.0.0.1:0',
    '[::1]:80',
    '::',
    '10.0.0.0/33',
  ],
  ...[
    '10.0.0.0/8',
    'fd00::/8',
    '::ffff:1.2.3.4/128',
    'loopback',
    '*.*',
    '*.example.com',
    'a..b',
    '[a',
    'a]b',
    'a.b["c',
  ],
  ...[
    'RS256',
    'none',
    'HS256',
    'at+jwt',
    'any',
    '__proto__',
    'constructor',
    'toString',
    'X-Client-Id',
    'Host',
    'a:b',
    'a\nb',
  ],
  ...[
    '2026-13-45',
    '2099-01-01',
    '0000-00-00',
    '+275760-09-13T00:00:00.001Z',
    'CN=',
    'CN=a,,O=b',
    'GET',
    'get',
    'any_token',
  ],
]
const nastyText = [
  '*',
  '&a',
  '*a',
  '!!binary x',
  '!x',
  '<<: *a',
  '{',
  '[',
  '? a',
  '- ',
  '|',
  '>',
  '%YAML 9',
  '---',
  '...',
  '\t',
  '#',
  '"',
  "'",
  ': ',
]

/** A configuration, as text. */
export function createConfiguration(random: Random): string {
  const text = chance(random, 0.7) ? pick(random, goodConfigurations) : pick(random, broken)
  if (chance(random, 0.55)) return mutateTree(random, text)
  return mutate(random, text, [...lines, ...nastyText, ...nastyScalars.map(String)], 3)
}

/** Changes what it says and not how it is written. */
function mutateTree(random: Random, text: string): string {
  const tree = parseOr(text)
  const other = parseOr(pick(random, [...goodConfigurations, ...broken]))
  for (let count = 1 + below(random, 3); count > 0; count--) mutateNode(random, tree, other)
  try {
    return stringify(tree, { aliasDuplicateObjects: chance(random, 0.2) })
  } catch {
    // What contains itself cannot be written down.
    return text
  }
}

function parseOr(text: string): unknown {
  try {
    return parse(text, { merge: true, logLevel: 'silent' }) as unknown
  } catch {
    return {}
  }
}

type Place = { readonly parent: Record<string, unknown>; readonly key: string }

function placesOf(node: unknown, found: Place[] = [], depth = 0): Place[] {
  if (typeof node !== 'object' || node === null || depth > 20) return found
  const parent = node as Record<string, unknown>
  for (const key of Object.keys(parent)) {
    found.push({ parent, key })
    placesOf(parent[key], found, depth + 1)
  }
  return found
}

function mutateNode(random: Random, tree: unknown, other: unknown): void {
  const places = placesOf(tree)
  if (places.length === 0) return
  const { parent, key } = pick(random, places)
  const theirs = placesOf(other)
  const from = theirs.length > 0 ? pick(random, theirs) : undefined
  const changes: readonly (() => unknown)[] = [
    () => set(parent, key, pick(random, nastyScalars)),
    () => set(parent, key, pick(random, nastyScalars)),
    () => set(parent, key, pick(random, [[], {}, [null], [[]], [parent[key]], { a: parent[key] }])),
    () => delete parent[key],
    () =>
      rename(parent, key, pick(random, [...new Set(places.map((place) => place.key)), 'x', '', '__proto__x', 'a b'])),
    () => from && set(parent, from.key, structuredClone(from.parent[from.key])),
    () => from && set(parent, key, structuredClone(from.parent[from.key])),
    () => Array.isArray(parent) && parent.push(structuredClone(parent[Number(key)])),
  ]
  pick(random, changes)()
}

function set(parent: Record<string, unknown>, key: string, value: unknown): void {
  parent[key] = value
}

function rename(parent: Record<string, unknown>, key: string, name: string): void {
  if (Array.isArray(parent)) return
  const value = parent[key]
  delete parent[key]
  parent[name] = value
}

const mostMilliseconds = 5000

export interface Tried {
  readonly accepted: boolean
  readonly faults: readonly string[]
}

/** Reads one, and makes a gateway of it if it is accepted. Never rejects. */
export async function tryConfiguration(text: string): Promise<Tried> {
  const start = performance.now()
  try {
    const config = parseConfig(text, { file, env, now })
    const took = performance.now() - start
    return { accepted: true, faults: [...slowness(took), ...(await tryGateway(config))] }
  } catch (error) {
    const took = performance.now() - start
    if (error instanceof ConfigError) return { accepted: false, faults: [...slowness(took), ...faultsOf(error, text)] }
    return { accepted: false, faults: [`its reading throws ${describe(error)}`] }
  }
}

const slowness = (took: number) => (took > mostMilliseconds ? [`its reading takes ${Math.round(took)} ms`] : [])
const describe = (error: unknown) => (error instanceof Error ? `${error.stack}` : String(error))

function faultsOf({ faults, message }: ConfigError, text: string): string[] {
  const last = text.split(/\r\n|\r|\n/).length
  const misplaced = faults.filter(
    ({ line, column, message: told }) =>
      !(Number.isInteger(line) && line >= 1 && line <= last && Number.isInteger(column) && column >= 1) || told === '',
  )
  return [
    ...(faults.length === 0 ? ['it is refused for no reason'] : []),
    ...misplaced.map((fault) => `a fault has no place in the file: ${JSON.stringify(fault)}`),
    ...(message.includes(hidden) || message.includes('PRIVATE KEY-----\n') ? [`a secret is shown: ${message}`] : []),
  ]
}

async function tryGateway(config: Config): Promise<string[]> {
  const lines: string[] = []
  try {
    const gateway = createGateway(config, { log: createLog({ write: (line) => void lines.push(line) }) })
    for (const name of Object.keys(config.listeners)) {
      const { encrypted, serverOptions, handler, attach } = gateway.listener(name)
      attach(encrypted ? createTlsServer(serverOptions, handler) : createServer(serverOptions, handler))
    }
    const metrics = await gateway.metrics()
    const closed = await Promise.race([
      gateway.close().then(() => true),
      new Promise((resolve) => setTimeout(resolve, mostMilliseconds, false).unref()),
    ])
    return [
      ...(closed ? [] : ['its gateway does not close']),
      ...([...lines, metrics].some((line) => line.includes(hidden)) ? ['its log or metrics show a secret'] : []),
    ]
  } catch (error) {
    return [`it is accepted, and its gateway throws ${describe(error)}`]
  }
}

/** No name of a made-up configuration is looked up in the world. The function that it gives back undoes that. */
export function keepNamesAtHome(): () => void {
  const { lookup } = dns
  const nobody = (name: string, ...rest: unknown[]) => {
    if (isIP(name)) return Reflect.apply(lookup, dns, [name, ...rest])
    const callback = rest.at(-1) as (error: Error) => void
    const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND', hostname: name })
    setImmediate(() => callback(error))
  }
  Object.assign(dns, { lookup: nobody })
  return () => void Object.assign(dns, { lookup })
}
