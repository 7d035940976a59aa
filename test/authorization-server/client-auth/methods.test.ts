import { readFileSync } from 'node:fs'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { methodsTable } from '../../../scripts/docs.ts'
import type { AuthorizationServer as Server } from '../../../src/authorization-server/authorization-server.ts'
import type { ClientCredential } from '../../../src/authorization-server/client-auth/define.ts'
import { clientAuthMethods } from '../../../src/authorization-server/client-auth/index.ts'
import { type AuthorizationServer, answerWith, startAuthorizationServer } from '../../harness/authorization-server.ts'
import { registerSecret } from '../../harness/secrets.ts'
import { ask, claimsOf, connectTo, credentialOf } from './ask.ts'
import {
  type Arrived,
  type ClientRow,
  type GrantedClient,
  type MethodRow,
  methodRows,
  type PreparedClient,
} from './method-rows.ts'
import { refusedRows } from './refused-rows.ts'

const prepare = <Client extends PreparedClient, Row extends ClientRow<Client>>(rows: readonly Row[], kind: string) =>
  rows.map((row, index) => {
    const clientId = `${kind}-${index}`
    return { ...row, clientId, client: row.prepare(clientId) }
  })

const taken = prepare<GrantedClient, MethodRow>(methodRows, 'taken')
const refused = prepare(refusedRows, 'refused')
let authorizationServer: AuthorizationServer
let server: Server
/** Takes everything, and gives a token that is none. */
let credulous: AuthorizationServer
let credulousServer: Server

beforeAll(async () => {
  authorizationServer = await startAuthorizationServer({
    tls: {},
    clients: [...taken, ...refused].map(({ clientId, client }) => ({ client_id: clientId, ...client.registered })),
  })
  server = connectTo(authorizationServer)
  credulous = await startAuthorizationServer({ tls: {} })
  credulous.answer('token', answerWith(200, { access_token: 'e30.e30.e30', token_type: 'Bearer' }))
  credulousServer = connectTo(credulous)
})
afterAll(async () => {
  await Promise.all([server.close(), credulousServer.close()])
  await Promise.all([authorizationServer.stop(), credulous.stop()])
})

interface Prepared {
  readonly method: string
  readonly client: PreparedClient
}

async function credentialFor({ method, client: { configured } }: Prepared, issuer: string): Promise<ClientCredential> {
  const keys = typeof configured === 'function' ? await configured(issuer) : configured
  return credentialOf({ token_endpoint_auth_method: method, ...keys })
}

/** What arrived last, in the shape in which a row has it. */
function arrivedAt({ requestsTo }: AuthorizationServer, { cnf }: Record<string, unknown>): Arrived {
  const seen = requestsTo('token').at(-1) ?? expect.unreachable('nothing arrived')
  const basic = /^Basic (.+)$/.exec(seen.headers.authorization ?? '')?.[1]
  const sent = Object.fromEntries(new URLSearchParams(seen.body().toString()))
  const { grant_type, scope, client_assertion: assertion, ...form } = sent
  expect([grant_type, scope]).toEqual(['client_credentials', 'customer.read'])
  return {
    form,
    ...(basic !== undefined && { basic: Buffer.from(basic, 'base64').toString() }),
    ...(assertion !== undefined && {
      header: decodeProtectedHeader(registerSecret(assertion)),
      audience: String(decodeJwt(assertion).aud),
    }),
    ...(cnf !== undefined && { cnf }),
  }
}

describe('a client authentication method, asked of a real authorization server over TLS', () => {
  const passed: MethodRow[] = []

  it.each(taken.filter(({ realServer }) => realServer !== 'does not know'))(
    '$method gets a token: $variant',
    async (row) => {
      const { clientId, client } = row
      const { issuer } = authorizationServer
      const claims = claimsOf(await ask(server, clientId, await credentialFor(row, issuer)))
      expect(claims).toMatchObject({ client_id: clientId, scope: 'customer.read' })
      const arrives = typeof client.arrives === 'function' ? client.arrives(issuer) : client.arrives
      expect(arrivedAt(authorizationServer, claims)).toEqual(arrives)
      passed.push(row)
    },
  )

  it.each(taken.filter(({ realServer }) => realServer === 'does not know'))(
    '$method arrives as it should at a server that knows it: $variant',
    async (row) => {
      const { clientId, client } = row
      await ask(credulousServer, clientId, await credentialFor(row, credulous.issuer))
      const arrives = typeof client.arrives === 'function' ? client.arrives(credulous.issuer) : client.arrives
      expect(arrivedAt(credulous, {})).toEqual(arrives)
      passed.push(row)
    },
  )

  it('every method of the registry was tried, and what passed is what the README says', () => {
    expect([...new Set(passed.map(({ method }) => method))]).toEqual(clientAuthMethods.map(({ name }) => name))
    const table = methodsTable(passed)
    process.stdout.write(`${table}\n`)
    expect(readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')).toContain(table)
  })
})

describe('a credential that is wrong in one way', () => {
  it.each(refused)('$method is refused: $variant', async (row) => {
    await expect(ask(server, row.clientId, await credentialFor(row, authorizationServer.issuer))).rejects.toMatchObject(
      {
        code: 'authorization_server_refused',
        ofClient: true,
      },
    )
  })
})
