import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { methodsTable } from '../../../scripts/docs.ts'
import type { AuthorizationServer as Server } from '../../../src/authorization-server/authorization-server.ts'
import type { ClientCredential } from '../../../src/authorization-server/client-auth/define.ts'
import { clientAuthMethods } from '../../../src/authorization-server/client-auth/index.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../../harness/authorization-server.ts'
import { ask, claimsOf, connectTo, credentialOf } from './ask.ts'
import { type MethodRow, methodRows, type PreparedClient } from './method-rows.ts'
import { refusedRows } from './refused-rows.ts'

interface TriedRow extends MethodRow {
  readonly clientId: string
  readonly client: PreparedClient
}

const prepare = (rows: readonly MethodRow[], kind: string): TriedRow[] =>
  rows.map((row, index) => {
    const clientId = `${kind}-${index}`
    return { ...row, clientId, client: row.prepare(clientId) }
  })

const taken = prepare(methodRows, 'taken')
const refused = prepare(refusedRows, 'refused')
let authorizationServer: AuthorizationServer
let server: Server

beforeAll(async () => {
  authorizationServer = await startAuthorizationServer({
    tls: {},
    clients: [...taken, ...refused].map(({ clientId, client }) => ({ client_id: clientId, ...client.registered })),
  })
  server = connectTo(authorizationServer)
})
afterAll(async () => {
  await server.close()
  await authorizationServer.stop()
})

async function credentialFor({ method, client: { configured } }: TriedRow): Promise<ClientCredential> {
  const keys = typeof configured === 'function' ? await configured(authorizationServer.issuer) : configured
  return credentialOf({ token_endpoint_auth_method: method, ...keys })
}

describe('a client authentication method, asked of a real authorization server over TLS', () => {
  const passed: MethodRow[] = []

  it.each(taken)('$method gets a token: $variant', async (row) => {
    const issued = await ask(server, row.clientId, await credentialFor(row))
    expect(claimsOf(issued)).toMatchObject({ client_id: row.clientId, scope: 'customer.read' })
    passed.push(row)
  })

  it('every method of the registry was tried, and what passed is what the README says', () => {
    expect([...new Set(passed.map(({ method }) => method))]).toEqual(clientAuthMethods.map(({ name }) => name))
    const table = methodsTable(passed)
    process.stdout.write(`${table}\n`)
    expect(readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')).toContain(table)
  })
})

describe('a credential that is wrong in one way', () => {
  it.each(refused)('$method is refused: $variant', async (row) => {
    await expect(ask(server, row.clientId, await credentialFor(row))).rejects.toMatchObject({
      code: 'authorization_server_refused',
      ofClient: true,
    })
  })
})
