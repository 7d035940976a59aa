import { decodeJwt } from 'jose'
import type { ClientMetadata } from 'oidc-provider'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { AuthorizationServer } from '../../../src/authorization-server/authorization-server.ts'
import { clientAuthMethods } from '../../../src/authorization-server/client-auth/index.ts'
import { Substituted } from '../../../src/base/substituted.ts'
import { clientOptions, createCredential } from '../../../src/egress/client.ts'
import { answerWith, startAuthorizationServer } from '../../harness/authorization-server.ts'
import { createSecret, registerSecret } from '../../harness/secrets.ts'
import type { SeenRequest } from '../../harness/seen-request.ts'
import { startUpstream } from '../../harness/upstream.ts'
import { askAs, createServer, failureOf, printed } from '../asking.ts'

/** What a method needs to be tried: how its client is registered, and how it is configured. */
interface Contract {
  /** The keys of the method's own, with a credential that is read anew each time. */
  readonly options: (credential: () => string) => Readonly<Record<string, unknown>>
  /** How the server knows the client. */
  readonly metadata: (credential: string) => Partial<ClientMetadata>
  /** What must not be left out. */
  readonly needed: string
}

const withSecret: Contract = {
  options: (credential) => ({ client_secret: new Substituted(credential, { fromFile: false, hasDefault: false }) }),
  metadata: (credential) => ({ client_secret: credential }),
  needed: 'client_secret',
}

/** The methods whose credential is a text that is sent; every method's own rows stand in `method-rows.ts`. */
const contracts: Readonly<Record<string, Contract>> = {
  client_secret_basic: withSecret,
  client_secret_post: withSecret,
}

const secretMethods = clientAuthMethods.filter(
  (method) => method.name === 'client_secret_basic' || method.name === 'client_secret_post',
)

const awkwardId = 'a:b%20c+d&e f=~*'
const awkwardSecret = registerSecret(`: %41+&= /?#'"~*${createSecret()}`)

let secrets: Record<string, string>
let sso: Awaited<ReturnType<typeof startAuthorizationServer>>
let server: AuthorizationServer

beforeAll(async () => {
  secrets = Object.fromEntries(secretMethods.map(({ name }) => [name, createSecret()]))
  const clients = secretMethods.flatMap(({ name }): ClientMetadata[] => [
    { ...contracts[name]?.metadata(secrets[name] ?? ''), client_id: `${name} plain`, token_endpoint_auth_method: name },
    {
      ...contracts[name]?.metadata(awkwardSecret),
      client_id: `${name} ${awkwardId}`,
      token_endpoint_auth_method: name,
    },
  ])
  sso = await startAuthorizationServer({ clients })
  server = createServer({ issuer: sso.issuer })
})
afterAll(() => Promise.all([sso.stop(), server.close()]))

describe.for(secretMethods.map((method) => [method.name, method] as const))('%s', ([name, method]) => {
  const contract = () => contracts[name] ?? expect.unreachable(`${name} has no entry in the table of contracts`)
  const client = (id: string, credential: () => string) => ({
    client_id: `${name} ${id}`,
    token_endpoint_auth_method: name,
    ...contract().options(credential),
  })

  it('gets a token for its client', async () => {
    const { accessToken } = await askAs(
      server,
      client('plain', () => secrets[name] ?? ''),
      [['scope', 'country.read']],
    )
    expect(decodeJwt(accessToken)).toMatchObject({ client_id: `${name} plain`, scope: 'country.read' })
  })

  it('gets a token whatever characters the credential has', async () => {
    const { accessToken } = await askAs(
      server,
      client(awkwardId, () => awkwardSecret),
    )
    expect(decodeJwt(accessToken).client_id).toBe(`${name} ${awkwardId}`)
  })

  it('is refused with a wrong credential, and the error does not tell it', async () => {
    const wrong = createSecret()
    const error = await failureOf(
      askAs(
        server,
        client('plain', () => wrong),
      ),
    )
    expect([error.code, error.status]).toEqual(['authorization_server_refused', 502])
    expect(error.options.reason).toContain('401: invalid_client')
    expect(printed(error)).not.toContain(wrong)
  })

  it('does not tell the credential where the server quotes what was sent', async () => {
    const credential = registerSecret(`p:%ss ${createSecret()}`)
    onTestFinished(() => sso.answer('token'))
    sso.answer('token', (request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const quoted = `${credential} ${Buffer.concat(chunks)} ${request.headers.authorization}`
        answerWith(400, { error: 'invalid_request', error_description: quoted })(request, response)
      })
    })
    const error = await failureOf(
      askAs(
        server,
        client('plain', () => credential),
      ),
    )
    expect(error.options.reason).toMatch(/400: invalid_request \(\[redacted\]/)
    const [, , mostOfIt = ''] = /^(.*) (.*)$/.exec(credential) ?? []
    expect(printed(error)).not.toContain(mostOfIt.slice(0, 12))
  })

  it('reads its credential anew for each request, and is told apart by it', async () => {
    let current = createSecret()
    const options = clientOptions.parse({ authorization_server: 'sso', ...client('plain', () => current) })
    const ask = () =>
      askAs(
        server,
        client('plain', () => current),
      )
    await failureOf(ask())
    const before = createCredential(options).identify()
    current = secrets[name] ?? ''
    await ask()
    const after = clientOptions.parse({ authorization_server: 'sso', ...client('plain', () => current) })
    expect(createCredential(after).identify()).not.toBe(before)
    expect(createCredential(after).identify()).toBe(createCredential(after).identify())
  })

  it('has a summary, and keys of its own that must be given and that no other may stand beside', () => {
    expect(method.summary).not.toBe('')
    const given = { authorization_server: 'sso', ...client('plain', () => 'secret-of-the-schema') }
    expect(clientOptions.safeParse(given).success).toBe(true)
    expect(clientOptions.safeParse({ ...given, [contract().needed]: undefined }).success).toBe(false)
    expect(clientOptions.safeParse({ ...given, unknown_key: 'a' }).success).toBe(false)
  })
})

describe('client_secret_basic', () => {
  /** The request that a server gets from a client with this id and secret. */
  async function sentBy(id: string, secret: string, more: Readonly<Record<string, string>> = {}): Promise<SeenRequest> {
    const recorder = await startUpstream(answerWith(200, { access_token: 'abc', token_type: 'Bearer' }))
    const recorded = createServer({ token_endpoint: recorder.url })
    onTestFinished(() => Promise.all([recorder.stop(), recorded.close()]).then(() => {}))
    await askAs(recorded, { client_id: id, client_secret: secret, ...more })
    return recorder.requests[0] ?? expect.unreachable('nothing was sent')
  }
  const credentialsOf = ({ headers }: SeenRequest) =>
    Buffer.from(headers.authorization?.replace(/^Basic /, '') ?? '', 'base64').toString()

  it('is what a client uses that names no method', async () => {
    const seen = await sentBy('service', 'wxyz-wxyz')
    expect(seen.headers.authorization).toBe('Basic c2VydmljZTp3eHl6LXd4eXo=')
    expect(seen.body().toString()).toBe('grant_type=client_credentials')
  })

  it('encodes id and secret as a form does (RFC 6749 appendix B)', async () => {
    expect(credentialsOf(await sentBy('ü:', ' %&+£€'))).toBe('%C3%BC%3A:+%25%26%2B%C2%A3%E2%82%AC')
  })

  it('sends what needs no encoding as it stands, for servers that decode nothing', async () => {
    expect(credentialsOf(await sentBy('my-service_1.2', 'a-b_c.d*e'))).toBe('my-service_1.2:a-b_c.d*e')
  })

  it('sends everything as it stands with basic_encoding: raw', async () => {
    expect(credentialsOf(await sentBy('my service', ' %&+£€:', { basic_encoding: 'raw' }))).toBe('my service: %&+£€:')
  })

  it('is refused by a server that decodes what was never encoded', async () => {
    const client = { client_id: `client_secret_basic ${awkwardId}`, client_secret: awkwardSecret }
    const error = await failureOf(askAs(server, { ...client, basic_encoding: 'raw' }))
    expect(error.code).toBe('authorization_server_refused')
  })
})

describe('client_secret_post', () => {
  it('puts id and secret in the form, and nothing in the headers', async () => {
    const recorder = await startUpstream(answerWith(200, { access_token: 'abc', token_type: 'Bearer' }))
    const recorded = createServer({ token_endpoint: recorder.url })
    onTestFinished(() => Promise.all([recorder.stop(), recorded.close()]).then(() => {}))
    const method = { token_endpoint_auth_method: 'client_secret_post' }
    await askAs(recorded, { client_id: 'ü:', client_secret: ' %&+£€', ...method })
    expect(recorder.requests[0]?.headers.authorization).toBeUndefined()
    expect(recorder.requests[0]?.body().toString()).toBe(
      'grant_type=client_credentials&client_id=%C3%BC%3A&client_secret=+%25%26%2B%C2%A3%E2%82%AC',
    )
  })
})
