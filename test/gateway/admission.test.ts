import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/config/config-error.ts'
import { parseConfig } from '../../src/config/load.ts'
import { askTls, listenerEnv, listenerTls } from '../harness/caller-certificates.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { createSecret } from '../harness/secrets.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

const inTwoHours = new Date(Date.now() + 7_200_000).toISOString()
const inThreeHours = new Date(Date.now() + 10_800_000).toISOString()

const token = 'token: { client: c }'

/** Each row: two ways to let callers in that differ in this alone. */
const differing: Record<string, readonly [one: string, other: string]> = {
  'whether anybody may come in': ['public: true', 'callers: { networks: [loopback] }'],
  'a token instead of a network': ['callers: { networks: [loopback] }', 'require: any_token'],
  'a token beside the networks': [
    'callers: { networks: [loopback] }',
    'require: any_token, callers: { networks: [loopback] }',
  ],
  'whether any token will do': ['require: any_token', 'require: { scopes: [a] }'],
  'one more scope': ['require: { scopes: [a] }', 'require: { scopes: [a, b] }'],
  'all of the scopes or one of them': ['require: { scopes: [a, b] }', 'require: { any_scope: [a, b] }'],
  'which scopes are enough': ['require: { any_scope: [a] }', 'require: { any_scope: [a, b] }'],
  'the issuers': ['require: { issuers: [one] }', 'require: { issuers: [one, two] }'],
  'the networks': ['callers: { networks: [loopback] }', 'callers: { networks: [10.0.0.0/8] }'],
  'networks beside a token': ['require: any_token', 'require: any_token, callers: { networks: [loopback] }'],
  'the values of a claim': ['require: { claims: { role: [a] } }', 'require: { claims: { role: [b] } }'],
  'the name of a claim': ['require: { claims: { role: [a] } }', 'require: { claims: { team: [a] } }'],
  'whether anybody is refused at all': [
    'require: any_token',
    `require: any_token, mode: report, until: "${inTwoHours}"`,
  ],
  'from when on anybody is refused': [
    `callers: { networks: [loopback] }, mode: report, until: "${inTwoHours}"`,
    `callers: { networks: [loopback] }, mode: report, until: "${inThreeHours}"`,
  ],
  'a certificate beside the networks': [
    'callers: { networks: [loopback] }',
    'callers: { networks: [loopback], certificates: { subjects: ["CN=a"] } }',
  ],
  'the subjects of certificates': [
    'callers: { certificates: { subjects: ["CN=a"] } }',
    'callers: { certificates: { subjects: ["CN=b"] } }',
  ],
  'the DNS names of certificates': [
    'callers: { certificates: { dns_names: [a.test] } }',
    'callers: { certificates: { dns_names: [a.test, b.test] } }',
  ],
  'the URIs of certificates': [
    'callers: { certificates: { uris: ["a:b"] } }',
    'callers: { certificates: { uris: ["a:c"] } }',
  ],
  'of which kind a name is': [
    'callers: { certificates: { uris: ["a:b"] } }',
    'callers: { certificates: { subjects: ["CN=a"], uris: ["a:b"] } }',
  ],
  'whether pages are kept out': [`callers: { networks: [loopback] }`, `callers: { networks: [loopback] }, ${token}`],
  'whether pages may come in': [
    `callers: { networks: [loopback] }, ${token}`,
    `callers: { networks: [loopback] }, ${token}, browsers: true`,
  ],
  'the hosts that it may be asked for by': [
    `callers: { networks: [loopback] }, ${token}, hosts: [a.test]`,
    `callers: { networks: [loopback] }, ${token}, hosts: [a.test, b.test]`,
  ],
  'one more claim': ['require: { claims: { role: a } }', 'require: { claims: { role: a, team: b } }'],
}

/** Each row: the same callers, written in two ways. */
const alike: Record<string, readonly [one: string, other: string]> = {
  'the order of scopes': ['require: { scopes: [a, b] }', 'require: { scopes: [b, a, a] }'],
  'the order of sufficient scopes': ['require: { any_scope: [a, b] }', 'require: { any_scope: [b, a] }'],
  'the order of issuers': ['require: { issuers: [one, two] }', 'require: { issuers: [two, one] }'],
  'the order of networks': [
    'callers: { networks: [loopback, 10.0.0.0/8] }',
    'callers: { networks: [10.0.0.0/8, loopback] }',
  ],
  'how certificates are written': [
    'callers: { certificates: { subjects: ["CN=a,O=b", "CN=c"], dns_names: [A.test, b.test], uris: ["a:b", "a:c"] } }',
    'callers: { certificates: { uris: ["a:c", "a:b"], dns_names: [b.test, a.test], subjects: ["cn = c", "CN=\\\\61, O=b"] } }',
  ],
  'how hosts are written': [
    `callers: { networks: [loopback] }, ${token}, hosts: [A.test, "*.b.test"]`,
    `callers: { networks: [loopback] }, ${token}, hosts: ["*.B.test", a.test, a.test], browsers: false`,
  ],
  'whether a token goes out, where one must come in': ['require: any_token', `require: any_token, ${token}`],
  'whether the usual mode is written out': ['require: any_token', 'require: any_token, mode: enforce'],
  'the order of claims and of their values': [
    'require: { claims: { role: [a, b], team: c } }',
    'require: { claims: { team: [c], role: [b, a] } }',
  ],
}

let upstream: Upstream
let gateway: RunningGateway

const servers = `
listeners: { main: { tls: ${listenerTls('optional')} } }
clients: { c: { authorization_server: one, client_id: c, client_secret: "\${env:SECRET}" } }
authorization_servers:
  one: { issuer: "http://127.0.0.1:1", access_tokens: { audience: any } }
  two: { issuer: "http://127.0.0.1:2", access_tokens: { audience: any } }
`
const env = { ...listenerEnv, SECRET: createSecret() }
const route = (path: string, admission: string) =>
  `  - { path: "${path}", ${admission}, upstream: "${upstream.url}" }\n`

/** For each row a wide pattern with the one admission, and one within it with the other. */
function nested(rows: Readonly<Record<string, readonly [string, string]>>, name: string): string {
  return Object.values(rows)
    .map(([one, other], index) => route(`/${name}${index}/**`, one) + route(`/${name}${index}/inner`, other))
    .join('')
}

beforeAll(async () => {
  upstream = await startUpstream()
  const yaml = `${servers}routes:\n${nested(differing, 'differing')}${nested(alike, 'alike')}
  - { path: "/merged/**", public: true, allow_in_path: [empty_segment, case], upstream: "${upstream.url}" }
  - { path: "/merged/inner", callers: { networks: [loopback] }, upstream: "${upstream.url}" }
`
  gateway = await startGateway(yaml, { env })
})
afterAll(() => Promise.all([gateway.stop(), upstream.stop()]))

async function codeOf(path: string): Promise<string> {
  const answer = await askTls(gateway.port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
  return answer?.status === 200 ? 'ok' : JSON.parse(answer?.body ?? '{}').code
}

function messagesOf(one: string, other: string): string {
  try {
    parseConfig(`${servers}routes:\n${route('/item', one)}${route('/ITEM', other)}`, { file: 'test.yaml', env })
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return ''
}

describe('routes that differ in who may come in', () => {
  it.each(Object.keys(differing).map((what, index) => [what, index] as const))(
    'by %s: a request that may be the one’s or the other’s is refused',
    async (_what, index) => {
      expect(await codeOf(`/differing${index}/INNER`)).toBe('ambiguous_target')
      expect(await codeOf(`/differing${index}//inner`)).toBe('ambiguous_target')
      expect(await codeOf(`/differing${index}/other`)).not.toBe('ambiguous_target')
    },
  )

  it.each(Object.entries(differing))('by %s: their paths must differ in more than letter case', (_what, admissions) => {
    expect(messagesOf(...admissions)).toContain('in letter case alone')
  })
})

describe('routes that let the same callers in', () => {
  it.each(Object.keys(alike).map((what, index) => [what, index] as const))(
    'do so whatever %s is',
    async (_what, index) => {
      expect(await codeOf(`/alike${index}/INNER`)).not.toBe('ambiguous_target')
    },
  )

  it.each(Object.entries(alike))('may differ in letter case alone, whatever %s is', (_what, admissions) => {
    expect(messagesOf(...admissions)).toBe('')
  })
})

it('allow_in_path lets pass what it names, on the route that names it', async () => {
  expect(await codeOf('/merged/INNER')).toBe('ok')
  expect(await codeOf('/merged//inner')).toBe('ok')
  expect(await codeOf('/merged/inner;x')).toBe('ambiguous_target')
})
