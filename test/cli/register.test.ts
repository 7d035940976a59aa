import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createKey } from '../egress/token-cache/caches.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { runProgram } from '../harness/process.ts'
import { startRedis } from '../harness/redis.ts'
import { createSecret } from '../harness/secrets.ts'

const initialAccessToken = createSecret()
const key = createKey()
let sso: AuthorizationServer
let unmanaged: AuthorizationServer
let folder: string

beforeAll(async () => {
  sso = await startAuthorizationServer({ registration: { initialAccessToken, rotatesAccessToken: true } })
  unmanaged = await startAuthorizationServer({ registration: { unmanaged: true } })
})
afterAll(() => Promise.all([sso.stop(), unmanaged.stop()]))
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scopegate-register-'))
  return () => rmSync(folder, { recursive: true })
})

const metadata = { redirect_uris: [], response_types: [], scope: 'customer.read country.read' }

function configure({
  members = {},
  server = sso,
  redis,
}: {
  members?: object
  server?: AuthorizationServer
  redis?: string
} = {}): void {
  const parts = {
    authorization_servers: { sso: { issuer: server.issuer } },
    clients: {
      legacy: {
        authorization_server: 'sso',
        registration: {
          metadata: { ...metadata, ...members },
          ...(server === sso && { initial_access_token: '${env:INITIAL}' }),
        },
      },
      known: { authorization_server: 'sso', client_id: 'default-client', client_secret: '${env:INITIAL}' },
    },
    ...(redis === undefined
      ? { registrations: { file: 'kept', encryption_keys: ['${env:KEY}'] } }
      : { token_cache: { redis: { url: redis, encryption_keys: ['${env:KEY}'] } } }),
  }
  writeFileSync(join(folder, 'scopegate.yaml'), JSON.stringify(parts))
}

const run = (...args: string[]) =>
  runProgram([...args, '--config', join(folder, 'scopegate.yaml')], { INITIAL: initialAccessToken, KEY: key })
const register = (...args: string[]) => run('register', 'legacy', ...args)
const requestsBy = (method: string, { requestsTo }: AuthorizationServer = sso) =>
  requestsTo('registration').filter((seen) => seen.method === method).length
const idIn = (stdout: string) => /^client_id: +(\S+)$/m.exec(stdout)?.[1]

describe('scopegate register', () => {
  it('registers a client at a real server, prints what was granted, and has its tokens from then on', async () => {
    configure()
    const { exitCode, stdout, stderr } = await register()
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(
      /^client: +legacy: registered\nclient_id: +\S+\nmethod: +client_secret_basic\nscope: +customer.read country.read\nregistered: +\S+Z\nsecret: +does not expire\nchanges: +can be changed and deleted \(RFC 7592\)\nkept as: +\S+ in \S+\/kept\n$/,
    )
    expect(existsSync(join(folder, 'kept'))).toBe(true)
    const token = await run('token', 'legacy')
    expect(token.stdout).toContain('granted scope: customer.read country.read')
    expect(token.stdout).toContain(`"client_id": "${idIn(stdout)}"`)
  })

  it('registers it once', async () => {
    configure()
    const first = await register()
    const before = requestsBy('POST')
    const { stdout } = await register()
    expect(stdout).toContain('client:     legacy: known already')
    expect([idIn(stdout), requestsBy('POST')]).toEqual([idIn(first.stdout), before])
  })

  it('changes the registration when the metadata has changed, each time with the access token of the last answer', async () => {
    configure()
    const first = await register()
    for (const scope of ['customer.read', 'customer.write']) {
      configure({ members: { scope } })
      const { exitCode, stdout } = await register()
      expect([exitCode, idIn(stdout)]).toEqual([0, idIn(first.stdout)])
      expect(stdout).toContain('legacy: changed')
      expect(stdout).toMatch(new RegExp(`^scope: +${scope}$`, 'm'))
      expect((await run('token', 'legacy')).stdout).toContain(`granted scope: ${scope}\n`)
    }
  }, 30_000)

  it('deletes it at the server, and what is kept of it', async () => {
    configure()
    const first = await register()
    expect(await register('--delete')).toMatchObject({ exitCode: 0, stdout: 'legacy: deleted\n', stderr: '' })
    expect(readFileSync(join(folder, 'kept'), 'utf8')).toBe('{}')
    expect(await register('--delete')).toMatchObject({ exitCode: 0, stdout: 'legacy: is not registered\n' })
    expect(idIn((await register()).stdout)).not.toBe(idIn(first.stdout))
  }, 20_000)

  it('does the same with what is kept in Redis', async () => {
    const redis = await startRedis()
    onTestFinished(() => redis.stop())
    configure({ redis: redis.url })
    const first = await register()
    expect(first.stdout).toMatch(/^kept as: +scopegate:\{\S+\}:registration in Redis$/m)
    expect(idIn((await register()).stdout)).toBe(idIn(first.stdout))
    expect((await run('token', 'legacy', '--fresh')).stdout).toContain(`"client_id": "${idIn(first.stdout)}"`)
    expect((await register('--delete')).stdout).toBe('legacy: deleted\n')
    expect(await redis.cli('--scan', '--pattern', '*:registration')).toBe('')
    await redis.stop()
    expect(await register()).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('registrations are kept in Redis, which cannot be had'),
    })
  }, 30_000)

  it('deletes nothing where the server gave no registration access token, and says how to go on', async () => {
    configure({ server: unmanaged })
    expect((await register()).stdout).toContain('changes:    the server lets nobody change or delete it')
    const kept = readFileSync(join(folder, 'kept'), 'utf8')
    const deleting = await register('--delete')
    configure({ server: unmanaged, members: { scope: 'country.read' } })
    for (const again of [deleting, await register()]) {
      expect(again.exitCode).toBe(1)
      expect(again.stderr).toMatch(/sso gave no registration access token \(RFC 7592\); .* remove \S+ in \S+\/kept\n$/)
    }
    expect(readFileSync(join(folder, 'kept'), 'utf8')).toBe(kept)
    expect([requestsBy('POST', unmanaged), requestsBy('DELETE', unmanaged)]).toEqual([1, 0])
  }, 20_000)

  it.each([
    ['known', 'the client known has no registration; one with registration is legacy'],
    ['other', 'there is no client other; one with registration is legacy'],
  ])('says of %s that there is nothing to register', async (client, message) => {
    configure()
    expect(await run('register', client)).toMatchObject({ exitCode: 1, stderr: `scopegate: ${message}\n` })
  })

  it('says why a client is not registered', async () => {
    configure({ members: { scope: 'unheard-of' } })
    const { exitCode, stderr, stdout } = await register()
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(
      /^scopegate: legacy is not registered: authorization_server_refused: the registration_endpoint answered 400: invalid_client_metadata/,
    )
  })
})
