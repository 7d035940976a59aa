import { generateKeyPairSync } from 'node:crypto'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { AuthorizationServer } from '../../../src/authorization-server/authorization-server.ts'
import { clientAuthMethods } from '../../../src/authorization-server/client-auth/index.ts'
import { requestToken } from '../../../src/authorization-server/token-endpoint.ts'
import { Substituted } from '../../../src/base/substituted.ts'
import { clientOptions } from '../../../src/egress/client.ts'
import { answerWith, startAuthorizationServer } from '../../harness/authorization-server.ts'
import { testCertificate } from '../../harness/certificates.ts'
import { findLeaks } from '../../harness/leaks.ts'
import { createSecret, registerSecret } from '../../harness/secrets.ts'
import type { SeenRequest } from '../../harness/seen-request.ts'
import { startUpstream } from '../../harness/upstream.ts'
import { askAs, createServer, failureOf, printed } from '../asking.ts'
import { connectTo, credentialOf } from './ask.ts'
import { keyFor, methodRows, pem } from './method-rows.ts'
import { signedAssertion } from './signed-assertion.ts'

type Keys = Readonly<Record<string, unknown>>

/** What the contract has to know of a method beside the first of its rows. */
interface Contract {
  /** The key that must not be left out. */
  readonly needed: string
  /** Another credential of the same form, which the server does not know; `undefined` for a method that has none. */
  readonly another: ((clientId: string, issuer: string) => Keys | Promise<Keys>) | undefined
  /** Whether a request holds the credential, or what was signed with it. */
  readonly sends: boolean
  /** True if each attempt has an assertion of its own. */
  readonly signs?: true
}

const anotherSecret = () => ({ client_secret: registerSecret(createSecret() + createSecret()) })
const certificateOf = (owner: 'stranger' | 'self-signed-other') => () => {
  const { certificate, privateKey } = testCertificate(owner)
  return { tls: { certificate, private_key: privateKey } }
}

const contracts: Readonly<Record<string, Contract>> = {
  client_secret_basic: { needed: 'client_secret', another: anotherSecret, sends: true },
  client_secret_post: { needed: 'client_secret', another: anotherSecret, sends: true },
  client_secret_jwt: { needed: 'client_secret', another: anotherSecret, sends: true, signs: true },
  private_key_jwt: {
    needed: 'private_key',
    another: () => ({ private_key: pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey) }),
    sends: true,
    signs: true,
  },
  tls_client_auth: { needed: 'tls', another: certificateOf('stranger'), sends: false },
  self_signed_tls_client_auth: { needed: 'tls', another: certificateOf('self-signed-other'), sends: false },
  client_assertion: {
    needed: 'client_assertion',
    another: async (clientId, issuer) => ({
      client_assertion: await signedAssertion(keyFor('ES256'), {
        iss: 'https://k8s.example',
        sub: clientId,
        aud: issuer,
      }),
    }),
    sends: true,
  },
  none: { needed: 'allow_unauthenticated_client', another: undefined, sends: false },
}

/** Every method in the first of its ways, under an identifier that needs encoding wherever it goes. */
const clients = clientAuthMethods.map((method) => {
  const id = `${method.name} a:b%20c+d&e f=~*`
  const row = methodRows.find((candidate) => candidate.method === method.name)
  return { method, id, prepared: row?.prepare(id), contract: contracts[method.name] }
})

let sso: Awaited<ReturnType<typeof startAuthorizationServer>>
let server: AuthorizationServer

beforeAll(async () => {
  sso = await startAuthorizationServer({
    tls: {},
    clients: clients.flatMap(({ id, prepared }) => (prepared ? [{ client_id: id, ...prepared.registered }] : [])),
  })
  server = connectTo(sso)
})
afterAll(() => Promise.all([sso.stop(), server.close()]))

/** The keys with every secret among them read anew each time, from what `current` gives then. */
function readAnew(keys: Keys, current: () => Keys): Keys {
  return Object.fromEntries(
    Object.entries(keys).map(([name, value]) => {
      const now = () => current()[name]
      if (name === 'tls') return [name, readAnew(value as Keys, () => now() as Keys)]
      const isSecret = ['client_secret', 'private_key', 'certificate', 'client_assertion'].includes(name)
      return [name, isSecret ? new Substituted(() => String(now()), { fromFile: false, hasDefault: false }) : value]
    }),
  )
}

/** Every text of a client's keys that must not be told. */
function secretsOf({ client_secret: secret, private_key: key, client_assertion: assertion, tls }: Keys): string[] {
  const own = [secret, key, assertion].filter((value) => typeof value === 'string')
  return tls === undefined ? own : [...own, ...secretsOf(tls as Keys)]
}

const formOf = (seen: SeenRequest | undefined) => new URLSearchParams(seen?.body().toString())

describe.for(clients.map((client) => [client.method.name, client] as const))(
  '%s',
  ([name, { id, method, ...client }]) => {
    const contract = () => client.contract ?? expect.unreachable(`${name} has no entry in the table of contracts`)
    const prepared = () => client.prepared ?? expect.unreachable(`${name} has no row among the rows of the methods`)
    const asClient = (keys: Keys) => ({ client_id: id, token_endpoint_auth_method: name, ...keys })
    const ownKeys = async (): Promise<Keys> => {
      const { configured } = prepared()
      return typeof configured === 'function' ? configured(sso.issuer) : configured
    }
    /** The client's own keys with another credential in them. */
    const otherKeys = async () => ({ ...(await ownKeys()), ...(await contract().another?.(id, sso.issuer)) })

    it('gets a token for its client, whatever characters its identifier has', async () => {
      const { accessToken } = await askAs(server, asClient(await ownKeys()), [['scope', 'country.read']])
      expect(decodeJwt(accessToken)).toMatchObject({ client_id: id, scope: 'country.read' })
    })

    it('is refused with a wrong credential, and the error does not tell it', async () => {
      const keys = await otherKeys()
      if (contract().another === undefined) return expect(secretsOf(keys)).toEqual([])
      const error = await failureOf(askAs(server, asClient(keys)))
      expect([error.code, error.status]).toEqual(['authorization_server_refused', 502])
      expect(error.options.reason).toContain('401: invalid_client')
      expect(findLeaks(printed(error), secretsOf(keys))).toEqual([])
    })

    it('does not tell the credential, or what it was sent as, where the server quotes it', async () => {
      onTestFinished(() => sso.answer('token'))
      const sent: string[] = []
      sso.answer('token', (request, response) => {
        const chunks: Buffer[] = []
        request.on('data', (chunk: Buffer) => chunks.push(chunk))
        request.on('end', () => {
          const [body, { authorization = '' }] = [String(Buffer.concat(chunks)), request.headers]
          const form = new URLSearchParams(body)
          const credentials = [form.get('client_assertion'), form.get('client_secret'), authorization.split(' ')[1]]
          sent.push(...credentials.flatMap((credential) => (credential ? [registerSecret(credential)] : [])))
          const quoted = `${credentials.join(' ')} ${body} ${authorization}`
          answerWith(400, { error: 'invalid_request', error_description: quoted })(request, response)
        })
      })
      const keys = await ownKeys()
      const error = await failureOf(askAs(server, asClient(keys)))
      expect(error.options.reason).toContain('400: invalid_request')
      expect(sent.length > 0).toBe(contract().sends)
      expect(findLeaks(printed(error), [...secretsOf(keys), ...sent])).toEqual([])
    })

    it('reads its credential anew for each request, and is told apart by it', async () => {
      const [own, other] = [await ownKeys(), await otherKeys()]
      let current = other
      const credential = credentialOf(asClient(readAnew(own, () => current)))
      const ask = () => requestToken({ server, clientId: id, credential, parameters: [] })
      const before = credential.identify()
      if (contract().another !== undefined) expect((await failureOf(ask())).options.reason).toContain('invalid_client')
      current = own
      await ask()
      const after = credential.identify()
      expect(after !== before).toBe(contract().another !== undefined)
      expect(credentialOf(asClient(own)).identify()).toBe(after)
      expect(credentialOf(asClient(other)).identify()).toBe(before)
    })

    it('has an assertion of its own for each attempt where it signs, and sends one that it was given as it stands', async () => {
      // The real server takes an assertion once.
      onTestFinished(() => sso.answer('token'))
      sso.answer('token', answerWith(200, { access_token: 'e30.e30.e30', token_type: 'Bearer' }))
      const credential = credentialOf(asClient(await ownKeys()))
      const before = sso.requestsTo('token').length
      for (let count = 0; count < 3; count++) await requestToken({ server, clientId: id, credential, parameters: [] })
      const assertions = sso
        .requestsTo('token')
        .slice(before)
        .flatMap((seen) => formOf(seen).get('client_assertion') ?? [])
      assertions.forEach(registerSecret)
      const ids = new Set(assertions.map((assertion) => decodeJwt(assertion).jti))
      const given = name === 'client_assertion'
      expect([assertions.length, ids.size]).toEqual(contract().signs ? [3, 3] : given ? [3, 1] : [0, 0])
    })

    it('has a summary, and keys of its own that must be given and that no other may stand beside', async () => {
      expect(method.summary).not.toBe('')
      const given = { authorization_server: 'sso', ...asClient(await ownKeys()) }
      expect(clientOptions.safeParse(given).success).toBe(true)
      expect(clientOptions.safeParse({ ...given, [contract().needed]: undefined }).success).toBe(false)
      expect(clientOptions.safeParse({ ...given, unknown_key: 'a' }).success).toBe(false)
    })
  },
)

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
