import { execFile, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { testAuthority } from '../harness/certificates.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { type SecuredApi, startSecuredApi } from '../harness/secured-api.ts'
import { headerValues } from '../harness/seen-request.ts'
import { startUpstream } from '../harness/upstream.ts'

/*
 * Programs as they are, with the standard HTTP client of their language. Neither they nor their URLs change when the API
 * behind the URL begins to want a token: only a proxy is set around them.
 */

let sso: AuthorizationServer
let api: SecuredApi
let gateway: RunningGateway

beforeAll(async () => {
  sso = await startAuthorizationServer()
  api = await startSecuredApi()
  gateway = await startGateway(
    `
listeners: { legacy: { forward_proxy: true } }
authorization_servers: { sso: { issuer: "${sso.issuer}" } }
clients:
  legacy: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" }
routes:
  - host: api.partner.example
    path: /**
    callers: { networks: [loopback] }
    token: { client: legacy }
    upstream: { url: "${api.url}", tls: { ca: "\${env:CA}" } }
`,
    { env: { SECRET: sso.client.client_secret, CA: testAuthority } },
  )
})
afterAll(() => Promise.all([gateway.stop(), api.stop(), sso.stop()]))

const source = (name: string) => join(import.meta.dirname, 'clients', name)
const url = 'http://api.partner.example/moved'
const proxyVariables = () => ({ http_proxy: gateway.url, no_proxy: '', HTTP_PROXY: '', NO_PROXY: '' })

async function run(command: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  const { stdout } = await promisify(execFile)(command, args, { env: { ...process.env, ...env }, timeout: 60_000 })
  return stdout.trim().split('\n')
}

/** Says so where the machine does not have it: a test that is left out in silence looks like one that is passed. */
function has(command: string, ...args: readonly string[]): boolean {
  const found = spawnSync(command, args).status === 0
  if (!found)
    process.stderr.write(`NOT TESTED: ${command} is not on this machine, so that its HTTP client was not tried\n`)
  return found
}

function expectTokens(count: number): void {
  const seen = api.requests.slice(-count)
  expect(seen.map((each) => headerValues(each, 'authorization'))).toEqual(
    Array(count).fill([expect.stringMatching(/^Bearer ./)]),
  )
}

it.skipIf(!has('curl', '--version') || !has('python3', '--version'))(
  'hosts in no_proxy are asked as ever',
  async () => {
    const own = await startUpstream((_, response) => response.end('direct'))
    const env = { ...proxyVariables(), no_proxy: 'localhost,127.0.0.1,.intranet.example' }
    expect(await run('curl', ['-sS', own.url], env)).toEqual(['direct'])
    expect(await run('python3', [source('fetch.py'), own.url], env)).toEqual(['urllib 200 direct', 'urllib direct'])
    expect(own.requests.map(({ headers }) => headers.via)).toEqual([undefined, undefined, undefined])
    await own.stop()
  },
)

describe('a program that knows nothing of OAuth gets through with the proxy as the only change', () => {
  it.skipIf(!has('curl', '--version'))('curl', async () => {
    expect(await run('curl', ['-sS', '-L', url], proxyVariables())).toEqual(['hello, GET /hello?again'])
    expectTokens(2)
  })

  it.skipIf(!has('python3', '--version'))('Python: urllib', async () => {
    expect(await run('python3', [source('fetch.py'), url], proxyVariables())).toEqual([
      'urllib 200 hello, GET /hello?again',
      'urllib hello, POST /orders',
    ])
    expectTokens(3)
  })

  it.skipIf(!has('java', '--version'))(
    'Java: HttpURLConnection and java.net.http.HttpClient',
    { timeout: 60_000 },
    async () => {
      const settings = `-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=${gateway.port}`
      expect(await run('java', [...settings.split(' '), source('Fetch.java'), url], {})).toEqual([
        'HttpURLConnection 200 hello, GET /hello?again',
        'HttpClient 200 hello, GET /hello?again',
        'HttpClient hello, POST /orders',
      ])
      expectTokens(5)
    },
  )

  it.skipIf(!has('curl', '--version'))('and curl tells what to do where the URL is an https one', async () => {
    const asked = ['-sS', '-w', '%{http_connect}', 'https://api.partner.example/a']
    const failed = run('curl', asked, { https_proxy: gateway.url, HTTPS_PROXY: '', no_proxy: '', NO_PROXY: '' })
    await expect(failed).rejects.toMatchObject({ stdout: '501' })
  })
})
