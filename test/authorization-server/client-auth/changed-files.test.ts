import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, verify } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { ClientCredential } from '../../../src/authorization-server/client-auth/define.ts'
import { parseConfig } from '../../../src/config/load.ts'
import { createCredential } from '../../../src/egress/client.ts'
import { testCertificate } from '../../harness/certificates.ts'
import { createSecret } from '../../harness/secrets.ts'
import { pem } from './method-rows.ts'
import { signedAssertion } from './signed-assertion.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'scopegate-keys-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const write = (files: Record<string, string>) => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
}

/** A client whose keys are files of the folder. */
function credentialOf(keys: string): ClientCredential {
  const yaml = `
authorization_servers: { sso: { issuer: https://sso.example.com } }
clients:
  c: { authorization_server: sso, client_id: c, ${keys} }
routes: [{ path: /a, public: true, upstream: "http://a:1" }]
`
  const { c } = parseConfig(yaml, { file: join(folder, 'scopegate.yaml') }).clients
  if (!c) throw new Error('no client')
  return createCredential(c)
}

async function assertionOf(credential: ClientCredential): Promise<string> {
  const body = new URLSearchParams()
  const server = { issuer: 'https://sso.example.com', token_endpoint: 'https://sso.example.com/token' }
  await credential.authenticate(server, { client_id: 'c' }, body, new Headers())
  return body.get('client_assertion') ?? ''
}

/** True if the key made the assertion, by EdDSA. */
function isBy(key: KeyObject, assertion: string): boolean {
  const [header, payload, signature = ''] = assertion.split('.')
  const input = Buffer.from(`${header}.${payload}`)
  return verify(null, input, createPublicKey(key), Buffer.from(signature, 'base64url'))
}

it('a private key that has changed signs the next assertion; one that is half written does not', async () => {
  const [first, second] = [generateKeyPairSync('ed25519').privateKey, generateKeyPairSync('ed25519').privateKey]
  write({ 'signing.pem': pem(first) })
  const credential = credentialOf('token_endpoint_auth_method: private_key_jwt, private_key: "${file:signing.pem}"')
  const identity = credential.identify()
  expect(isBy(first, await assertionOf(credential))).toBe(true)
  write({ 'signing.pem': pem(second).slice(0, 60) })
  expect(isBy(first, await assertionOf(credential))).toBe(true)
  write({ 'signing.pem': pem(second) })
  expect(isBy(second, await assertionOf(credential))).toBe(true)
  expect(credential.identify()).not.toBe(identity)
})

it('a secret that has become shorter than its hash signs nothing, and is told of', async () => {
  const [first, second] = [createSecret() + createSecret(), createSecret() + createSecret()]
  write({ secret: first })
  const credential = credentialOf('token_endpoint_auth_method: client_secret_jwt, client_secret: "${file:secret}"')
  const isSignedWith = async (secret: string) => {
    const [header, payload, signature] = (await assertionOf(credential)).split('.')
    return createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url') === signature
  }
  const identity = credential.identify()
  expect(await isSignedWith(first)).toBe(true)
  write({ secret: 'xy' })
  expect(await isSignedWith(first)).toBe(true)
  expect(credential.fault?.()).toBe('client_secret has 2 bytes, and HS256 needs 32 at least (RFC 7518 section 3.2)')
  expect(credential.identify()).toBe(identity)
  write({ secret: second })
  expect(await isSignedWith(second)).toBe(true)
  expect(credential.fault?.()).toBeUndefined()
  expect(credential.identify()).not.toBe(identity)
})

it("a workload's assertion is sent as it now lies in its file, and what is no JWT is not sent", async () => {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const claims = { iss: 'https://k8s.example', sub: 'gateway', aud: 'sso' }
  const [first, second] = [await signedAssertion(key, claims), await signedAssertion(key, claims)]
  write({ token: `${first}\n` })
  const credential = credentialOf('token_endpoint_auth_method: client_assertion, client_assertion: "${file:token}"')
  const identity = credential.identify()
  expect(await assertionOf(credential)).toBe(first)
  write({ token: 'somebody is writing here' })
  expect(await assertionOf(credential)).toBe(first)
  write({ token: second })
  expect(await assertionOf(credential)).toBe(second)
  expect(credential.identify()).toBe(identity)
})

it('a certificate that was replaced before its key is presented once both are there', () => {
  const [old, renewed] = [testCertificate('client'), testCertificate('client-renewed')]
  write({ 'client.pem': old.certificate, 'client.key': old.privateKey })
  const credential = credentialOf(
    'token_endpoint_auth_method: tls_client_auth, tls: { certificate: "${file:client.pem}", private_key: "${file:client.key}" }',
  )
  const presented = () => credential.tls?.read().thumbprint
  expect(presented()).toBe(old.thumbprint)
  write({ 'client.pem': renewed.certificate })
  expect(presented()).toBe(old.thumbprint)
  write({ 'client.key': renewed.privateKey })
  expect(presented()).toBe(renewed.thumbprint)
})
