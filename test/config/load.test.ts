import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import type { Secret } from '../../src/base/secret.ts'
import { ConfigError } from '../../src/config/config-error.ts'
import { loadConfig, parseConfig } from '../../src/config/load.ts'
import { testAuthority, testCertificate } from '../harness/certificates.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function folder(files: Record<string, string>): string {
  const path = mkdtempSync(join(tmpdir(), 'scopegate-config-'))
  folders.push(path)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    writeFileSync(join(path, name), text)
  }
  return path
}

const server = `
authorization_servers:
  sso: { issuer: https://sso.example.com, access_tokens: { audience: any } }
`
const route = `
routes:
  - path: /a
    callers: { networks: [loopback] }
    token: { client: c }
    upstream: https://a.example.com
`
const client = (secret: string) => `
clients:
  c: { authorization_server: sso, client_id: c, client_secret: ${secret} }
`

function secretOf(config: ReturnType<typeof parseConfig>): string {
  const { client_secret: secret } = config.clients.c as unknown as { client_secret: Secret }
  return secret.read()
}

describe('a program that only wants tokens', () => {
  const options = { file: 'a.yaml', env: { SECRET: 's' } }
  const clientAlone = server + client('"${env:SECRET}"')

  it('needs no route, and no route that uses its client', () => {
    expect(parseConfig(clientAlone, { ...options, routes: 'optional' })).toMatchObject({ routes: [], warnings: [] })
    expect(() => parseConfig(clientAlone, options)).toThrow(/routes/)
  })

  it('is told all the same what is wrong with the routes that there are', () => {
    const text = `${clientAlone}routes: [{ path: /a, upstream: "https://a.example.com" }]`
    expect(() => parseConfig(text, { ...options, routes: 'optional' })).toThrow('does not say who may come in')
  })
})

describe('loading a configuration', () => {
  it('the example is good, as it is', () => {
    const { privateKey: key } = testCertificate('client')
    const config = loadConfig('config/scopegate.yaml', { ARCHIVAL_SECRET: 'one', BILLING_KEY: key })
    expect(config.routes).toHaveLength(7)
    expect(config.warnings).toEqual([])
    expect(inspect(config, { depth: 20 })).not.toMatch(/'one'|PRIVATE KEY/)
  })

  it('the example is good with the TLS that it speaks of, and with certificates of callers', () => {
    const tls = (name: string) => readFileSync(`test/harness/certificates/callers/${name}`, 'utf8')
    const text = readFileSync('config/scopegate.yaml', 'utf8')
      .replace(/^ {4}# {3}tls: /m, '    tls: ')
      .replace('require: any_token', 'callers: { certificates: { uris: ["spiffe://example.com/a"] } }')
    const path = folder({
      'scopegate.yaml': text,
      'tls/cert.pem': tls('server.pem'),
      'tls/key.pem': tls('server.key'),
      'tls/ca.pem': tls('ca.pem'),
    })
    const env = { ARCHIVAL_SECRET: 'one', BILLING_KEY: testCertificate('client').privateKey }
    const config = loadConfig(join(path, 'scopegate.yaml'), env)
    expect(config.listeners.public?.tls?.client_certificate).toBe('optional')
    expect(config.warnings).toEqual([])
  })

  it('names the file that cannot be read', () => {
    expect(() => loadConfig('/nonexistent/scopegate.yaml')).toThrow(
      /^\/nonexistent\/scopegate\.yaml:1:1: does not exist; /,
    )
  })

  it('needs no listener, server or client for a public route', () => {
    const config = parseConfig('routes: [{ path: /a, public: true, upstream: "http://a:1" }]', { file: 'x.yaml' })
    expect(config.listeners.main?.address).toEqual({ host: '127.0.0.1', port: 8080 })
  })

  it('reads merge keys, with anchors under x-', () => {
    const text = 'x-open: &open { public: true, upstream: "http://a:1" }\nroutes:\n  - <<: *open\n    path: /a\n'
    expect(parseConfig(text, { file: 'x.yaml' }).routes[0]?.public).toBe(true)
  })

  it('takes the hash before secrets are resolved', () => {
    const text = server + client('"${env:S}"') + route
    const one = parseConfig(text, { file: 'x.yaml', env: { S: 'one' } })
    const other = parseConfig(text, { file: 'x.yaml', env: { S: 'other' } })
    expect(one.hash).toBe(other.hash)
    expect(secretOf(one)).toBe('one')
  })

  it('warns of a secret that stands in the file as it is, with its place', () => {
    const config = parseConfig(server + client('in-the-open') + route, { file: 'x.yaml' })
    expect(config.warnings.map(({ line, path }) => ({ line, path }))).toEqual([
      { line: 6, path: 'clients.c.client_secret' },
    ])
    expect(JSON.stringify(config.warnings)).not.toContain('in-the-open')
  })

  it('warns of a require that takes tokens of every trusted server', () => {
    const text = `
authorization_servers:
  one: { issuer: https://one.example.com, access_tokens: { audience: any } }
  two: { issuer: https://two.example.com, access_tokens: { audience: any } }
routes: [{ path: /a, require: any_token, upstream: "http://a:1" }]
`
    expect(parseConfig(text, { file: 'x.yaml' }).warnings.map(({ message }) => message)).toEqual([
      expect.stringContaining('one, two'),
    ])
  })
})

describe('substitution', () => {
  it('works on values, never on text: what a variable holds cannot add a key', () => {
    const text = 'routes: [{ path: /a, public: true, name: "${env:N}", upstream: "http://a:1" }]'
    const injected = 'x, public: false, callers: { networks: [loopback] }'
    expect(() => parseConfig(text, { file: 'x.yaml', env: { N: `${injected} }` } })).toThrow(ConfigError)
    expect(parseConfig(text, { file: 'x.yaml', env: { N: 'fine' } }).routes[0]?.name).toBe('fine')
  })

  it('fills numbers and booleans from text', () => {
    const text =
      'listeners: { main: { limits: { headers: "${env:H}" } } }\nroutes: [{ path: /a, public: "${env:P}", upstream: "http://a:1" }]'
    const config = parseConfig(text, { file: 'x.yaml', env: { H: '50', P: 'true' } })
    expect([config.listeners.main?.limits.headers, config.routes[0]?.public]).toEqual([50, true])
  })

  it('uses the default for a missing and for an empty variable', () => {
    const text = 'routes: [{ path: /a, public: true, name: "${env:N:-spare}", upstream: "http://a:1" }]'
    for (const env of [{}, { N: '' }]) expect(parseConfig(text, { file: 'x.yaml', env }).routes[0]?.name).toBe('spare')
  })

  it('leaves $${ as a literal ${', () => {
    const config = parseConfig(server + client('"a$${env:S}b"') + route, { file: 'x.yaml' })
    expect(secretOf(config)).toBe('a${env:S}b')
  })

  it('reads a secret file relative to the configuration, without its last newline, and again when it changes', () => {
    const path = folder({ secret: 'first\n', 'scopegate.yaml': server + client('"${file:secret}"') + route })
    const config = loadConfig(join(path, 'scopegate.yaml'))
    expect(secretOf(config)).toBe('first')
    writeFileSync(join(path, 'secret'), 'second, and longer\n')
    expect(secretOf(config)).toBe('second, and longer')
    rmSync(join(path, 'secret'))
    expect(secretOf(config)).toBe('second, and longer')
    writeFileSync(join(path, 'secret'), '')
    expect(secretOf(config)).toBe('second, and longer')
    expect(config.warnings).toEqual([])
  })

  it('never shows what a variable or file holds in an error', () => {
    const path = folder({ secret: 's3cret-in-file', 'scopegate.yaml': '' })
    const text = 'routes: [{ path: /a, public: true, name: "${file:secret}", upstream: "http://a:1" }]'
    expect(readFileSync(join(path, 'secret'), 'utf8')).toBe('s3cret-in-file')
    try {
      parseConfig(text, { file: join(path, 'scopegate.yaml') })
      expect.unreachable()
    } catch (error) {
      expect(String(error)).toContain('for secrets and certificates alone')
      expect(String(error)).not.toContain('s3cret-in-file')
    }
  })
})

it('a default for a secret stands in the file, and is warned of as such', () => {
  const config = parseConfig(server + client('"${env:S:-spare-secret}"') + route, { file: 'x.yaml', env: {} })
  expect(config.warnings.map(({ path }) => path)).toEqual(['clients.c.client_secret'])
  expect(secretOf(config)).toBe('spare-secret')
})

it('a client that no route uses is warned of', () => {
  const open = 'routes: [{ path: /a, public: true, upstream: "http://a:1" }]'
  const config = parseConfig(server + client('"${env:S}"') + open, { file: 'x.yaml', env: { S: 'secret' } })
  expect(config.warnings).toMatchObject([{ path: 'clients.c', message: 'is used by no route' }])
})

describe('what has expired is warned of, each at its own place', () => {
  const jwt = (exp: unknown) =>
    ['{"alg":"none"}', JSON.stringify({ exp }), '{}'].map((part) => Buffer.from(part).toString('base64url')).join('.')
  const warnings = (keys: string, env: Record<string, string> = {}) => {
    const client = `clients: { c: { authorization_server: sso, client_id: c, ${keys} } }`
    return parseConfig(`${server}${client}${route}`, { file: join(import.meta.dirname, 'x.yaml'), env }).warnings
  }
  const workload = 'token_endpoint_auth_method: client_assertion, client_assertion: "${env:A}"'
  const expired = 'certificate: "${file:keys/expired.pem}", private_key: "${file:keys/expired.key}"'
  const ofCertificate = 'expired on 2020-01-02T00:00:00.000Z; replace it before the client needs a token'
  const ofAssertion = {
    path: 'clients.c.client_assertion',
    message: 'expired on 2023-11-14T22:13:20.000Z; replace it before the client needs a token',
  }

  it('an assertion, and not one that is good still', () => {
    expect(warnings(workload, { A: jwt(4_102_444_800) })).toEqual([])
    expect(warnings(workload, { A: jwt(1_700_000_000) })).toMatchObject([ofAssertion])
  })

  it('the certificate of TLS', () => {
    const told = { path: 'clients.c.tls.certificate', message: ofCertificate }
    expect(warnings(`token_endpoint_auth_method: tls_client_auth, tls: { ${expired} }`)).toMatchObject([told])
    expect(warnings(`${workload}, tls: { ${expired} }`, { A: jwt(1_700_000_000) })).toMatchObject([ofAssertion, told])
  })

  it('the certificate of a key that signs', () => {
    expect(warnings(`token_endpoint_auth_method: private_key_jwt, ${expired}`)).toMatchObject([
      { path: 'clients.c.certificate', message: ofCertificate },
    ])
  })

  for (const exp of ['soon', '2020-01-01', 1e17, -1e17, null, {}, [1], true])
    it(`exp that is no date says nothing: ${JSON.stringify(exp)}`, () => {
      expect(warnings(workload, { A: jwt(exp) })).toEqual([])
    })
})

it('Ed25519 and EdDSA are one algorithm, whichever of them the key and the client name', () => {
  const key = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  for (const [own, wanted] of [
    ['Ed25519', 'EdDSA'],
    ['EdDSA', 'Ed25519'],
  ]) {
    const client = `clients: { c: { authorization_server: sso, client_id: c, token_endpoint_auth_method: private_key_jwt, private_key: "\${env:K}", token_endpoint_auth_signing_alg: ${wanted} } }`
    const env = { K: JSON.stringify({ ...key, alg: own }) }
    expect(parseConfig(`${server}${client}${route}`, { file: 'x.yaml', env }).clients.c).toMatchObject({
      token_endpoint_auth_signing_alg: wanted,
    })
  }
})

it('the authorities of a server may be several, and stand in a variable with \\n for its line breaks', () => {
  const text = `
authorization_servers: { sso: { issuer: https://sso.example.com, tls: { ca: "\${env:CA}" } } }
routes: [{ path: /a, public: true, upstream: "http://a:1" }]`
  const two = `# ours\n${testAuthority}# and theirs\n${testCertificate('self-signed').certificate}`
  for (const CA of [two, two.replaceAll('\n', '\\n')])
    expect(parseConfig(text, { file: 'x.yaml', env: { CA } }).authorization_servers.sso?.tls?.ca).toBe(two)
})

it('a certificate is not presented at a token endpoint of plain http, but may be at the alias for it', () => {
  const { certificate, privateKey } = testCertificate('client')
  const env = { CERTIFICATE: certificate, KEY: privateKey, URL: 'http://127.0.0.1:8080/token' }
  const load = (endpoints: string) =>
    parseConfig(
      `
authorization_servers: { sso: { issuer: https://sso.example.com, ${endpoints} } }
clients: { c: { authorization_server: sso, client_id: c, token_endpoint_auth_method: tls_client_auth, tls: { certificate: "\${env:CERTIFICATE}", private_key: "\${env:KEY}" } } }
${route}`,
      { file: 'x.yaml', env },
    )
  expect(() => load('token_endpoint: "${env:URL}"')).toThrow(/ clients\.c\.tls: would be presented /)
  expect(() => load('token_endpoint: HTTP://127.0.0.1/token')).toThrow(/ clients\.c\.tls: would be presented /)
  const alias = 'mtls_endpoint_aliases: { token_endpoint: https://mtls.example.com/token }'
  expect(load(`token_endpoint: "\${env:URL}", ${alias}`).clients.c).toBeDefined()
  expect(load('jwks_uri: http://127.0.0.1/keys').clients.c).toBeDefined()
})

it('a Redis without TLS is warned of, unless it is said to be meant', () => {
  const text = (more = '') => `
routes: [{ path: /a, public: true, upstream: "http://a:1" }]
token_cache: { redis: { url: "redis://cache:6379", encryption_keys: ["\${env:KEY}"]${more} } }
`
  const env = { KEY: Buffer.alloc(32, 7).toString('base64url') }
  const warnings = (more?: string) => parseConfig(text(more), { file: 'x.yaml', env }).warnings
  expect(warnings()).toMatchObject([{ path: 'token_cache.redis' }])
  expect(warnings(', allow_plain: true')).toEqual([])
})

it('an anchor may be used by many routes', () => {
  const routes = Array.from({ length: 300 }, (_, index) => `  - { <<: *open, path: /a${index} }`)
  const text = `x-open: &open { public: true, upstream: "http://a:1" }\nroutes:\n${routes.join('\n')}\n`
  expect(parseConfig(text, { file: 'x.yaml' }).routes).toHaveLength(300)
})

it('nesting that nobody could read is a fault, however deep it is', () => {
  for (const depth of [100, 20_000]) {
    const text = `routes: ${'['.repeat(depth)}${']'.repeat(depth)}`
    expect(() => parseConfig(text, { file: 'x.yaml' })).toThrow(/is nested/)
  }
})

it('a method of authentication may stand in a variable', () => {
  const text =
    server + client('"${env:S}"').replace('client_id', 'token_endpoint_auth_method: "${env:M}", client_id') + route
  const config = parseConfig(text, { file: 'x.yaml', env: { S: 'secret', M: 'client_secret_post' } })
  expect(config.clients.c?.token_endpoint_auth_method).toBe('client_secret_post')
})

it('URLs in capitals, with default ports and with IPv6 are taken as they stand', () => {
  for (const url of [
    'https://API.example.com',
    'https://a.example.com:443/x',
    'http://[::1]:8080/',
    'http://a:1/%7Bx%7D',
  ]) {
    const text = `routes: [{ path: /a, public: true, upstream: "${url}" }]`
    expect(parseConfig(text, { file: 'x.yaml' }).routes[0]?.upstream.url).toBe(url)
  }
})

it.each([
  ['a comma between scopes', '', 'scope: "a,b"', 'clients.c.scope', 'has a comma in a value'],
  ['a comma in a list of scopes', '', 'scopes: ["a,", b]', 'clients.c.scopes', 'has a comma in a value'],
  [
    'a server that nothing uses',
    'other: { issuer: https://other.example.com }',
    '',
    'authorization_servers.other',
    'is used by nothing',
  ],
])('warns of %s', (_, other, scope, path, message) => {
  const text = `
authorization_servers: {${[' sso: { issuer: https://sso.example.com }', other].filter(Boolean).join(', ')} }
clients: { c: { authorization_server: sso, client_id: c, client_secret: "\${env:S}"${scope && `, ${scope}`} } }
${route}`
  const { warnings } = parseConfig(text, { file: 'x.yaml', env: { S: 'secret' } })
  expect(warnings).toEqual([expect.objectContaining({ path, message: expect.stringContaining(message) })])
})

it('warns of a comma in the scope of a route, and of a client_id with blanks around it', () => {
  const text = (server + client('"${env:S}"') + route)
    .replace('client_id: c', 'client_id: "c "')
    .replace('{ client: c }', '{ client: c, scope: "a,b" }')
  const { warnings } = parseConfig(text, { file: 'x.yaml', env: { S: 'secret' } })
  expect(warnings.map(({ path }) => path)).toEqual(['clients.c.client_id', 'routes[0].token.scope'])
})
