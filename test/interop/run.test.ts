import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ClientMetadata } from 'oidc-provider'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { clientAuthMethods } from '../../src/authorization-server/client-auth/index.ts'
import { certificateJwk, keyFor, pem, publicJwk } from '../authorization-server/client-auth/method-rows.ts'
import {
  type AuthorizationServerOptions,
  answerWith,
  startAuthorizationServer,
} from '../harness/authorization-server.ts'
import { testCertificate } from '../harness/certificates.ts'
import { recordOutput } from '../harness/logs.ts'
import { createSecret } from '../harness/secrets.ts'

const folder = mkdtempSync(join(tmpdir(), 'scopegate-interop-'))
afterAll(() => rmSync(folder, { recursive: true }))

function fileOf(name: string, content: string): string {
  const file = join(folder, name)
  writeFileSync(file, content, { mode: 0o600 })
  return file
}

async function start(options: AuthorizationServerOptions = {}) {
  const server = await startAuthorizationServer(options)
  onTestFinished(() => server.stop())
  return { server, secretFile: fileOf('default.secret', server.client.client_secret) }
}

const script = fileURLToPath(new URL('run.ts', import.meta.url))

/** As a user would run it. */
function run(args: readonly string[]): Promise<{ exitCode: number; printed: string; told: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [script, ...args], (_error, stdout, stderr) => {
      resolve({ exitCode: child.exitCode ?? -1, printed: recordOutput(stdout), told: recordOutput(stderr) })
    })
  })
}

const ingressPassed = `| a good token | ✓ 200 |
| no token | ✓ refused: 401 token_required |
| a changed signature | ✓ refused: 401 invalid_token |
| a missing scope | ✓ refused: 403 insufficient_scope |
| an expired token | ✓ refused: 401 invalid_token |
`
const egressPassed = '✓ token fetched, kept, renewed before it expires'

const secret = createSecret()
const scoped = (client: ClientMetadata): ClientMetadata => ({ scope: 'customer.read', ...client })
const jwks = { keys: [publicJwk(keyFor('ES256'))] } as NonNullable<ClientMetadata['jwks']>
const clients = [
  { token_endpoint_auth_method: 'client_secret_basic', client_secret: secret } as const,
  { token_endpoint_auth_method: 'client_secret_post', client_secret: secret } as const,
  { token_endpoint_auth_method: 'client_secret_jwt', client_secret: secret } as const,
  { token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256', jwks } as const,
  { token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_san_dns: 'client.example.test' } as const,
  {
    token_endpoint_auth_method: 'self_signed_tls_client_auth',
    jwks: certificateJwk(testCertificate('self-signed')),
  } as const,
  { token_endpoint_auth_method: 'none' } as const,
].map((client) => scoped({ client_id: `by-${client.token_endpoint_auth_method}`, ...client }))

test('every method that the server offers is tried with the client that is registered for it', async () => {
  const { server } = await start({ clients, tls: {} })
  const certificate = fileURLToPath(new URL('../harness/certificates/', import.meta.url))
  const { exitCode, printed, told } = await run([
    ...['--issuer', server.issuer, '--name', 'oidc-provider', '--ca-file', join(certificate, 'ca.pem')],
    ...['--scope', 'customer.read', '--audience', 'https://api.example.test'],
    ...clients.flatMap(({ token_endpoint_auth_method: method, client_id: id }) => ['--client', `${method}=${id}`]),
    ...['--secret-file', fileOf('secret', `${secret}\n`)],
    ...['--key-file', fileOf('key.pem', pem(keyFor('ES256')))],
    ...['--certificate-file', join(certificate, 'client.pem')],
    ...['--certificate-key-file', join(certificate, 'client.key')],
    ...['--certificate-file', `self_signed_tls_client_auth=${join(certificate, 'self-signed.pem')}`],
    ...['--certificate-key-file', `self_signed_tls_client_auth=${join(certificate, 'self-signed.key')}`],
  ])
  const methods = clientAuthMethods.map(({ name }) =>
    name === 'client_assertion'
      ? `| ${name} | skipped: no --client client_assertion=ID given |\n`
      : `| ${name} | ${egressPassed} |\n`,
  )
  expect({ told, printed }).toEqual({
    told: '',
    printed: `| tried | oidc-provider |\n| --- | --- |\n${methods.join('')}${ingressPassed}`,
  })
  expect(exitCode).toBe(0)
})

test('what cannot be tried is said with its reason, and is no failure', async () => {
  const { server, secretFile } = await start({
    clients,
    configure: (given) => ({
      ...given,
      clientAuthMethods: ['client_secret_basic', 'private_key_jwt', 'client_secret_post'],
    }),
  })
  const { exitCode, printed } = await run([
    ...['--issuer', server.issuer, '--client', server.client.client_id, '--secret-file', secretFile],
    ...['--methods', 'client_secret_basic,private_key_jwt,tls_client_auth'],
  ])
  expect(printed).toBe(`| tried | ${server.issuer} |
| --- | --- |
| client_secret_basic | ${egressPassed} |
| client_secret_post | skipped: not among --methods |
| client_secret_jwt | skipped: not among --methods |
| private_key_jwt | skipped: no --key-file given |
| tls_client_auth | skipped: the server does not offer it |
| self_signed_tls_client_auth | skipped: not among --methods |
| client_assertion | skipped: not among --methods |
| none | skipped: not among --methods |
${ingressPassed}`)
  expect(exitCode).toBe(0)
})

test('a secret that the server refuses is a failure with its reason', async () => {
  const { server } = await start()
  const { exitCode, printed } = await run([
    ...['--issuer', server.issuer, '--client', server.client.client_id],
    ...['--secret-file', fileOf('wrong.secret', createSecret()), '--methods', 'client_secret_basic'],
  ])
  expect(printed).toMatch(/^\| client_secret_basic \| ✗ FAILED: 502 authorization_server_refused: .*invalid_client/m)
  expect(printed).toContain('| a good token | skipped: no token was to be had |')
  expect(exitCode).toBe(1)
})

test('a server that gives the same token again and again is said to renew none', async () => {
  const { server, secretFile } = await start()
  const token = await server.signToken({ sub: 'x' })
  server.answer('token', answerWith(200, { access_token: token, token_type: 'Bearer', expires_in: 300 }))
  const { exitCode, printed } = await run([
    ...['--issuer', server.issuer, '--client', server.client.client_id],
    ...['--secret-file', secretFile, '--methods', 'client_secret_basic'],
  ])
  expect(printed).toContain('| client_secret_basic | ✗ FAILED: no other token came before the old one expired |')
  expect(exitCode).toBe(1)
})

test('a token that comes without the scope that was asked for is a failure', async () => {
  const { server, secretFile } = await start()
  server.answer('token', async (request, response) => {
    request.resume()
    const token = await server.signToken({ jti: createSecret() })
    answerWith(200, { access_token: token, token_type: 'Bearer', expires_in: 300 })(request, response)
  })
  const { exitCode, printed } = await run([
    ...['--issuer', server.issuer, '--client', server.client.client_id, '--scope', 'customer.read'],
    ...['--secret-file', secretFile, '--methods', 'client_secret_basic'],
  ])
  expect(printed).toContain(`| client_secret_basic | ${egressPassed} |`)
  expect(printed).toContain('| a good token | ✗ FAILED: 403 insufficient_scope')
  expect(exitCode).toBe(1)
})

test('opaque tokens are sent to upstreams, and tried on no route that requires one', async () => {
  const { server, secretFile } = await start({ tokenFormat: 'opaque' })
  const { exitCode, printed } = await run([
    ...['--issuer', server.issuer, '--client', server.client.client_id],
    ...['--secret-file', secretFile, '--methods', 'client_secret_basic'],
  ])
  expect(printed).toContain(`| client_secret_basic | ${egressPassed} |`)
  expect(printed).toContain('| a good token | skipped: the tokens of this server are no JWTs |')
  expect(exitCode).toBe(0)
})

test('where nothing could be tried, that is no success', async () => {
  const { server } = await start()
  const { exitCode, printed } = await run(['--issuer', server.issuer, '--client', 'somebody'])
  expect(printed).toContain('| client_secret_basic | skipped: no --secret-file given |')
  expect(exitCode).toBe(1)
})

test('wrong options, and a server that is not there, are told in a sentence', async () => {
  expect(await run(['--issuer', 'http://127.0.0.1:1'])).toMatchObject({
    exitCode: 2,
    told: expect.stringContaining('--issuer and --client are needed\n\nnpm run interop -- '),
  })
  expect(await run(['--issuer', 'http://127.0.0.1:1', '--client', 'x', '--methods', 'basic'])).toMatchObject({
    exitCode: 2,
    told: expect.stringContaining('there is no method basic\n'),
  })
  const { server } = await start()
  expect(await run(['--issuer', `${server.issuer}/realms/none`, '--client', 'x'])).toEqual({
    exitCode: 1,
    printed: '',
    told: `no metadata of ${server.issuer}/realms/none is to be found; give its --discovery-url\n`,
  })
})
