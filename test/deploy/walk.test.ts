import { execFile, spawn, spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { recordOutput } from '../harness/logs.ts'
import { linesOf, statusesIn } from '../harness/readme.ts'
import { freePort, type RunningRedis, startRedis } from '../harness/redis.ts'

// What docker-compose.yml starts, without Docker: the same configuration and services, and oidc-provider for Keycloak.

const root = fileURLToPath(new URL('../..', import.meta.url))
const hasCurl = spawnSync('curl', ['--version']).status === 0
const secretFile = join(tmpdir(), `scopegate-archival-${process.pid}.secret`)
const closings: (() => unknown)[] = []
let keycloak: AuthorizationServer
let redis: RunningRedis
let gateway: RunningGateway
/** Where each port of the compose file is instead. */
let ports: Readonly<Record<number, number>>

const read = (path: string) => readFileSync(join(root, path), 'utf8')
const realm: { clients: { clientId: string; secret: string }[] } = JSON.parse(
  read('deploy/keycloak/sivalabs-realm.json'),
)
const { environment } = parse(read('docker-compose.yml')).services.scopegate

beforeAll(async () => {
  redis = await startRedis()
  keycloak = await startAuthorizationServer({
    audience: 'https://api.example.com',
    clients: realm.clients.map(({ clientId, secret }) => ({
      client_id: clientId,
      client_secret: secret,
      token_endpoint_auth_method: clientId === 'archival-service' ? 'client_secret_basic' : 'client_secret_post',
    })),
    configure: (given) => ({
      ...given,
      extraTokenClaims: (_context, { clientId }) => ({
        azp: clientId,
        realm_access: { roles: clientId === 'service-client-jwt' ? ['archivist'] : [] },
      }),
    }),
  })
  const customers = await startService('customers.mjs', {})
  const yaml = read('deploy/compose/scopegate.yaml')
    .replaceAll('http://localhost:9191/realms/sivalabs', keycloak.issuer)
    .replaceAll('http://keycloak:8080/realms/sivalabs', keycloak.issuer)
    .replaceAll('redis://redis:6379/0', redis.url)
    .replaceAll('http://customers:8080', `http://127.0.0.1:${customers}`)
  gateway = await startGateway(yaml, { env: environment, listener: 'public' })
  const sending = await gateway.open('legacy')
  const legacy = await startService('legacy.mjs', { CUSTOMERS_URL: `http://127.0.0.1:${sending}/archive` })
  ports = { 8080: gateway.port, 8081: sending, 8082: legacy }
})

afterAll(async () => {
  for (const close of closings) close()
  rmSync(secretFile, { force: true })
  await gateway?.stop()
  await Promise.all([keycloak?.stop(), redis?.stop()])
})

/** A service of the compose file, on a free port, once it answers. */
async function startService(name: string, env: Readonly<Record<string, string>>): Promise<number> {
  const port = await freePort()
  const child = spawn(process.execPath, [join(root, 'deploy/compose', name)], {
    env: { ...process.env, ...env, PORT: String(port) },
    stdio: 'inherit',
  })
  closings.push(() => child.kill())
  while (!(await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined)))
    await new Promise((resolve) => setTimeout(resolve, 20))
  return port
}

async function paste(heading: string, change: (lines: string) => string = (lines) => lines): Promise<string> {
  const lines = change(linesOf(heading))
    .replaceAll(/^docker .*$/gm, '')
    .replaceAll('http://localhost:9191/realms/sivalabs/protocol/openid-connect/token', keycloak.tokenEndpoint)
    .replaceAll('http://localhost:9191/realms/sivalabs', keycloak.issuer)
    .replaceAll(/127\.0\.0\.1:(808\d)\b/g, (_all, port) => `127.0.0.1:${ports[port]}`)
  const { stdout } = await promisify(execFile)('/bin/bash', ['-c', lines], { cwd: root, timeout: 20_000 })
  return recordOutput(stdout)
}

const archivalReport =
  '{"method":"GET","path":"/customers/7","caller":null,"token":{"scheme":"Bearer","client":"archival-service","scope":"country.read customer.read","aud":"https://api.example.com"}}'

test.skipIf(!hasCurl)('"With Keycloak" of the README can be pasted, and answers as it says', async () => {
  const printed = await paste('## With Keycloak')
  expect(statusesIn(printed)).toEqual([401, 200, 403, 200, 200, 200])
  expect(printed).toContain('"method":"DELETE","path":"/customers/7","caller":"service-client-jwt"')
  expect(printed).toContain(`{"report":"customer 7","answer_of_the_api":${archivalReport}}`)
  expect(printed.trimEnd().endsWith(archivalReport)).toBe(true)
  const sources = gateway.log.find({ route: 'archive' }).map(({ token }) => token)
  expect(sources).toEqual(['fetched', 'memory'])
})

test('the same server passes "A server of your own"', async () => {
  const printed = await paste('### A server of your own', (lines) =>
    lines
      // To Keycloak a client has one secret for both, to oidc-provider one method.
      .replace(',client_secret_post', '')
      .replaceAll('archival.secret', secretFile)
      .replace('npm run --silent interop --', 'node_modules/.bin/node test/interop/run.ts'),
  )
  expect(printed).toContain('| client_secret_basic | ✓ ')
  expect(printed).toContain('| an expired token | ✓ refused: 401 invalid_token |')
})
