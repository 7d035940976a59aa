import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { clientAuthMethods } from '../../../src/authorization-server/client-auth/index.ts'
import type { Preset } from '../../../src/authorization-server/presets/define.ts'
import { presets } from '../../../src/authorization-server/presets/index.ts'
import { createTestClock } from '../../harness/clock.ts'
import { startGateway } from '../../harness/gateway.ts'
import { ask } from '../../harness/raw-client.ts'
import { createSecret, registerSecret } from '../../harness/secrets.ts'
import { headerValues, type SeenRequest } from '../../harness/seen-request.ts'
import { createSigningKey, createToken, type Members } from '../../harness/tokens.ts'
import { startUpstream } from '../../harness/upstream.ts'
import { createKeeper } from '../../proxy/keep.ts'
import { type Product, products } from './products.ts'

const { keep } = createKeeper()
const key = createSigningKey('RS256', 'k1')
const pem = registerSecret(String(key.privateKey.export({ type: 'pkcs8', format: 'pem' })))
const methods = ['client_secret_basic', 'private_key_jwt'] as const

interface Wish {
  /** False: the server refuses every credential. */
  readonly knows?: boolean
  readonly method?: (typeof methods)[number]
}

/** The product on a real socket, and a gateway before an API and behind a legacy service that knows it by its preset. */
async function start(name: string, product: Product, { knows = true, method = 'client_secret_basic' }: Wish = {}) {
  const { discovery, tokenPath, jwksPath, metadata, answer, refusal, token } = product
  const given = createSecret()
  const server = await keep(startUpstream())
  const issuer = product.issuer(server.url)
  const json = (response: ServerResponse, status: number, body: unknown) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  server.answer((request: IncomingMessage, response) => {
    request.resume().on('end', () => {
      if (request.url === discovery)
        return json(response, 200, {
          issuer,
          token_endpoint: `${server.url}${tokenPath}`,
          jwks_uri: `${server.url}${jwksPath}`,
          ...metadata,
        })
      if (request.url === jwksPath) return json(response, 200, { keys: [key.jwk] })
      if (request.url !== tokenPath) return json(response, 404, { error: 'not_found' })
      return knows
        ? json(response, 200, { access_token: given, ...answer?.body })
        : json(response, refusal?.status ?? 500, refusal?.body)
    })
  })
  const upstream = await keep(startUpstream())
  const secret =
    method === 'private_key_jwt' ? 'private_key: "${env:KEY}", key_id: k1' : 'client_secret: "${env:SECRET}"'
  const elsewhere = issuer.startsWith(server.url) || !discovery ? '' : `discovery_url: "${server.url}${discovery}"`
  const yaml = `
authorization_servers:
  product:
    preset: ${name}
    issuer: "${issuer}"
    ${product.written?.(server.url) ?? elsewhere}
    ${token ? `access_tokens: { audience: "${token.audience}" }` : ''}
${answer ? `clients: { c: { authorization_server: product, client_id: service, token_endpoint_auth_method: ${method}, ${secret} } }` : ''}
routes:
  - { path: /public, public: true, upstream: "${upstream.url}" }
${token ? `  - { path: /in, require: any_token, identity_headers: { X-Scope: scope }, upstream: "${upstream.url}" }` : ''}
${token ? `  - { path: /scoped, require: { scopes: ${JSON.stringify(token.scopes.split(' '))} }, upstream: "${upstream.url}" }` : ''}
${answer ? `  - { path: /out, callers: { networks: [loopback] }, token: { client: c, scope: "${answer.scope}" }, upstream: "${upstream.url}" }` : ''}
${answer ? `  - { path: /other, callers: { networks: [loopback] }, token: { client: c, scope: another }, upstream: "${upstream.url}" }` : ''}
`
  const env = { SECRET: createSecret(), KEY: pem }
  const gateway = await keep(startGateway(yaml, { env, ...(!knows && { clock: createTestClock(Date.now()) }) }))
  const get = (path: string, bearer?: string) =>
    ask(
      gateway.port,
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${bearer === undefined ? '' : `Authorization: Bearer ${bearer}\r\n`}\r\n`,
    )
  return {
    ...{ server, issuer, upstream, gateway, get, given },
    tokenRequests: () => server.requests.filter(({ method: verb }) => verb === 'POST'),
  }
}

function tokenOf(issuer: string, { token }: Product, changed: Members = {}): string {
  const now = Math.floor(Date.now() / 1000)
  const audience = token?.audience === 'any' ? undefined : token?.audience
  const claims = { iss: issuer, aud: audience, sub: 's', iat: now, exp: now + 300, ...token?.claims, ...changed }
  return createToken(key, { header: token?.header ?? {}, claims })
}

/** Header and claims of the assertion in a token request. */
function assertionIn(request: SeenRequest | undefined): [header: Members, claims: Members] {
  const assertion = new URLSearchParams(request?.body().toString()).get('client_assertion') ?? ''
  const [header = '', claims = ''] = assertion.split('.')
  return [header, claims].map((part) => JSON.parse(Buffer.from(part, 'base64url').toString())) as [Members, Members]
}

const scopeClaims = ['scope', 'scp', 'roles']
const clientClaims = ['client_id', 'azp', 'cid', 'appid']

/** Claims that other servers write, where the preset knows that this one does not. */
function decoysOf({ peculiarities }: Preset, { scopes }: { readonly scopes: string }): Members {
  const strange = (key: string, names: readonly string[]) => {
    const own = peculiarities.find((one) => one.of === 'access_tokens' && one.key === key)?.value
    return own === undefined || typeof own === 'function' ? [] : names.filter((name) => !own.includes(name))
  }
  return Object.fromEntries([
    ...strange('scope_claims', scopeClaims).map((name) => [name, scopes]),
    ...strange('client_id_claims', clientClaims).map((name) => [name, 'somebody-else']),
  ])
}

for (const preset of presets) {
  const product: Product = products[preset.name]
  const { answer, refusal, token, assertion } = product

  describe(`${preset.server}, by the preset ${preset.name}`, () => {
    if (answer)
      it('gives a token as its documentation prints the answer, and the upstream gets it', async () => {
        const { get, upstream, given, tokenRequests } = await start(preset.name, product)
        expect((await get('/out')).status).toBe(200)
        const [sent = expect.unreachable('nothing arrived')] = upstream.requests
        expect(headerValues(sent, 'authorization')).toEqual([`Bearer ${given}`])
        expect(new URLSearchParams(tokenRequests()[0]?.body().toString()).get('scope')).toBe(answer.scope)
      })

    if (refusal)
      it('refuses a credential, and another scope of that client is not asked for in vain', async () => {
        const { get, gateway, tokenRequests } = await start(preset.name, product, { knows: false })
        expect((await get('/out')).status).toBe(502)
        expect(gateway.lastLine().reason).toContain(`${refusal.status}: ${refusal.body.error}`)
        expect((await get('/other')).status).toBe(502)
        expect(tokenRequests()).toHaveLength(1)
      })

    if (token)
      it('has its access tokens let in, with their client and scopes', async () => {
        const { get, gateway, issuer } = await start(preset.name, product)
        const bearer = tokenOf(issuer, product, decoysOf(preset, { scopes: 'another' }))
        await expect.poll(async () => (await get('/scoped', bearer)).status).toBe(200)
        expect(gateway.lastLine().caller).toBe(token.client)
      })

    if (token)
      it('has no scope or client taken out of claims that it does not write', async () => {
        const { get, gateway, issuer } = await start(preset.name, product)
        await expect.poll(async () => (await get('/in', tokenOf(issuer, product))).status).toBe(200)
        const own = Object.keys(token.claims).filter((name) => [...scopeClaims, ...clientClaims].includes(name))
        const without = Object.fromEntries([...own, 'aud'].map((name) => [name, undefined]))
        const aud = token.audience === 'any' ? {} : { aud: [token.audience] }
        const bearer = tokenOf(issuer, product, { ...without, ...aud, ...decoysOf(preset, token) })
        expect((await get('/scoped', bearer)).status).toBeGreaterThan(400)
        expect(gateway.lastLine().caller).toBeUndefined()
      })

    if (token?.otherwise) {
      const { otherwise } = token
      it('has what is no access token of it refused', async () => {
        const { get, issuer } = await start(preset.name, product)
        await expect.poll(async () => (await get('/in', tokenOf(issuer, product))).status).toBe(200)
        expect((await get('/in', tokenOf(issuer, product, otherwise))).status).toBe(401)
      })
    }

    if (assertion)
      it('gets an assertion as its documentation wants it', async () => {
        const { get, issuer, server, tokenRequests } = await start(preset.name, product, { method: 'private_key_jwt' })
        expect((await get('/out')).status).toBe(200)
        const [header, claims] = assertionIn(tokenRequests()[0])
        expect(header).toEqual(assertion.header)
        expect(claims.aud).toBe(assertion.aud === 'issuer' ? issuer : `${server.url}${product.tokenPath}`)
      })

    it('names a source for everything that it says', () => {
      const sources = [...preset.peculiarities, ...preset.notes].map(({ source }) => source)
      expect(sources.length).toBeGreaterThan(0)
      expect(sources.filter((source) => !/^https:\/\/[^\s/]+\/\S+$/.test(source))).toEqual([])
    })

    it('has an example of every assertion that it changes', () => {
      const known: readonly string[] = clientAuthMethods.map((method) => method.name)
      const ofClients = preset.peculiarities.flatMap(({ of }) => (typeof of === 'string' ? [] : of))
      expect(ofClients.filter((name) => !known.includes(name))).toEqual([])
      expect(assertion !== undefined).toBe(ofClients.length > 0)
    })
  })
}
