import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { clientAuthMethods } from '../../src/authorization-server/client-auth/index.ts'
import { type MethodRow, methodRows } from '../authorization-server/client-auth/method-rows.ts'
import { type AuthorizationServer, answerWith, startAuthorizationServer } from '../harness/authorization-server.ts'
import { testAuthority } from '../harness/certificates.ts'
import { findLeaks } from '../harness/leaks.ts'
import { readingsOf } from '../harness/readings.ts'
import { startRedis } from '../harness/redis.ts'
import { monitorRedis, readRedis } from '../harness/redis-monitor.ts'
import { createSecret, registerSecret } from '../harness/secrets.ts'
import type { SeenRequest } from '../harness/seen-request.ts'
import { startUpstream } from '../harness/upstream.ts'
import { createKeeper } from '../proxy/keep.ts'
import { startGatewayProcess } from './gateway-process.ts'
import { get } from './load.ts'

const { keep } = createKeeper()

const createIdentifier = () => `identifier-${randomBytes(6).toString('hex')}`

/** Under an identifier that is not the name that the configuration has for it. */
function prepareClient(name: string, isMeant: (row: MethodRow) => boolean) {
  const row = methodRows.find(isMeant)
  if (!row) throw new TypeError(`there is no row for ${name}`)
  const id = createIdentifier()
  return { name, id, method: row.method, ...row.prepare(id) }
}

/** Every method in the first of its ways, and what else a client may have to hide. */
const clients = [
  ...clientAuthMethods.map(({ name }) => prepareClient(name, ({ method }) => method === name)),
  ...['PEM PKCS#8 encrypted', 'PEM in one line', 'JWK with its kid'].map((name) =>
    prepareClient(name.replaceAll(/\W/g, '-'), ({ variant }) => variant === name),
  ),
]

const refused = { name: 'refused', id: createIdentifier(), secret: createSecret() }

type Block = Readonly<Record<string, unknown>>

/** The clients as the configuration has them. */
async function configureAll({ issuer }: AuthorizationServer): Promise<Record<string, Block>> {
  const blocks = clients.map(async ({ name, id, method, configured }) => {
    const keys = typeof configured === 'function' ? await configured(issuer) : configured
    return [
      name,
      {
        authorization_server: 'sso',
        client_id: id,
        token_endpoint_auth_method: method,
        scope: 'customer.read',
        ...keys,
      },
    ] as const
  })
  return {
    ...Object.fromEntries(await Promise.all(blocks)),
    refused: { authorization_server: 'sso', client_id: refused.id, client_secret: refused.secret },
    broken: { authorization_server: 'broken', client_id: refused.id, client_secret: refused.secret },
  }
}

/** What is secret in a client's block. */
function secretsOf(block: Block): string[] {
  const { client_secret: secret, private_key: key, private_key_passphrase: passphrase, client_assertion } = block
  const { private_key: tlsKey } = Object(block.tls)
  return [secret, key, passphrase, client_assertion, tlsKey].filter((value) => typeof value === 'string')
}

/** What is secret in a token request that arrived: an assertion is good until it expires. */
function secretsSent(seen: SeenRequest): string[] {
  const sent = new URLSearchParams(seen.body().toString())
  const credentials = /^Basic (.+)$/.exec(seen.headers.authorization ?? '')?.[1]
  return [sent.get('client_assertion'), sent.get('client_secret'), credentials].filter(
    (value) => typeof value === 'string',
  )
}

test('who reads Redis, or listens to what it is told, or reads logs and answers, finds nothing to get in with', async () => {
  const [password, cacheKey] = [createSecret(), registerSecret(randomBytes(32).toString('base64url'))]
  const redis = await keep(startRedis())
  await redis.cli('acl', 'setuser', 'gateway', 'on', `>${password}`, '~*', '&*', '+@all')
  const sso = await keep(
    startAuthorizationServer({
      tls: {},
      lifetime: 4,
      clients: clients.map(({ id, registered }) => ({ client_id: id, ...registered })),
    }),
  )
  // It quotes what it was sent, as some do.
  const broken = await keep(
    startUpstream((request, response, seen) => {
      request.resume().on('end', () => {
        const described = `${seen.body().toString()} ${seen.headers.authorization}`
        answerWith(400, { error: 'invalid_request', error_description: described })(request, response)
      })
    }),
  )
  let refuses = false
  const upstream = await keep(startUpstream((_request, response) => response.writeHead(refuses ? 401 : 200).end()))
  const blocks = await configureAll(sso)
  const config = {
    authorization_servers: {
      sso: { issuer: sso.issuer, tls: { ca: testAuthority } },
      broken: { token_endpoint: `${broken.url}/token` },
    },
    clients: blocks,
    token_cache: {
      redis: { url: `redis://gateway:${password}@127.0.0.1:${redis.port}`, encryption_keys: [cacheKey] },
    },
    routes: Object.keys(blocks).map((client) => ({
      path: `/${client}`,
      callers: { networks: ['loopback'] },
      token: { client },
      upstream: upstream.url,
    })),
  }
  const yaml = Object.entries(config)
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
    .join('\n')
  const told = await monitorRedis(redis)
  const members = await Promise.all([1, 2].map(() => keep(startGatewayProcess(yaml))))
  const answers: string[] = []
  const askAll = async (port: number) => {
    const all = await Promise.all(Object.keys(blocks).map((client) => get({ port, path: `/${client}` })))
    answers.push(...all.map(({ body }) => body))
    return all.map(({ status }) => status)
  }
  const kept: string[] = []
  const look = async () => {
    const { names, text } = await readRedis(redis)
    kept.push(text)
    return names.filter((name) => name.endsWith(':token')).length
  }

  for (const { port } of members) expect(await askAll(port)).toEqual([...clients.map(() => 200), 502, 502])
  expect(await look()).toBe(clients.length)
  await pause(2600)
  for (const { port } of members) await askAll(port)
  await look()
  refuses = true
  for (const { port } of members) expect(new Set(await askAll(port))).toEqual(new Set([502]))
  await redis.kill('SIGSTOP')
  refuses = false
  await pause(2000)
  for (const { port } of members) await askAll(port)
  await redis.kill('SIGCONT')
  await Promise.all(members.map(({ program }) => program.line({ msg: 'redis found' })))
  await look()

  const tokens = upstream.requests.map(({ headers }) => headers.authorization?.replace(/^Bearer /, '') ?? '')
  const sent = [...sso.requestsTo('token'), ...broken.requests].flatMap(secretsSent)
  const secrets = [password, cacheKey, ...Object.values(blocks).flatMap(secretsOf), ...tokens, ...sent]
  expect(tokens.every((token) => token.startsWith('eyJ'))).toBe(true)
  expect(sent.length).toBeGreaterThan(clients.length)
  await Promise.all(members.map((member) => member.stop('SIGTERM')))
  const printed = await Promise.all(members.map(async ({ program }) => Object.values(await program.ended).join('\n')))
  const found = { kept: kept.join('\n'), told: told(), printed: printed.join('\n'), answers: answers.join('\n') }
  expect(found.told).toMatch(/"eval"/i)
  expect(found.printed).toContain('"token":"redis"')
  expect(found.printed).toContain('"code":"upstream_refused_token"')
  expect(found.printed).toContain('"code":"authorization_server_refused"')
  for (const [where, text] of Object.entries(found)) {
    expect([where, findLeaks(text, secrets)]).toEqual([where, []])
    const read = [...readingsOf(text)].join('\n')
    expect([where, [...clients, refused].filter(({ id }) => read.includes(id))]).toEqual([where, []])
    const telling = ['customer', 'private_key', 'client_secret'].filter((word) => read.includes(word))
    if (where !== 'printed') expect([where, telling]).toEqual([where, []])
  }
}, 40_000)
