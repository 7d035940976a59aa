import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { clientOptions } from '../../src/egress/client.ts'
import { createMemoryTokenCache } from '../../src/egress/token-cache/memory.ts'
import { createTokenRequest } from '../../src/egress/token-request.ts'
import { createServer } from '../authorization-server/asking.ts'

const cache = createMemoryTokenCache()

/** Servers that differ in one thing each. */
const servers = [
  createServer({ issuer: 'https://a.example' }),
  createServer({ issuer: 'https://a.example/' }),
  createServer({ issuer: 'https://a.example', discovery_url: 'https://b.example' }),
  createServer({ issuer: 'https://a.example', token_endpoint: 'https://b.example' }),
  createServer({ token_endpoint: 'https://b.example' }),
]
afterAll(() => Promise.all(servers.map((server) => server.close())))

/** Few values, so that wishes are often equal, and such as would run together if they were joined. */
const words = (...more: string[]) => fc.constantFrom('a', 'b', 'ab', 'a,b', 'a"b', 'a:b', 'a&b=c', ...more)
const list = (entry: fc.Arbitrary<string>) => fc.array(entry, { maxLength: 3 })
const scopeValue = fc.constantFrom('a', 'b', 'ab', 'a,b', 'a:b', 'scope=a')
const uri = fc.constantFrom('urn:a', 'urn:b', 'urn:a,urn:b', 'https://a.example/?a=b')

const wish = fc.record({
  server: fc.nat(servers.length - 1),
  clientId: words('a b'),
  secret: words('a b'),
  method: fc.constantFrom('client_secret_basic', 'client_secret_post'),
  policy: fc.constantFrom('warn', 'exact'),
  scopes: list(scopeValue),
  audience: list(words('a b', 'urn:a')),
  resource: list(uri),
  params: fc.dictionary(words('x', 'audiences'), words('a b'), { maxKeys: 3 }),
})
type Wish = typeof wish extends fc.Arbitrary<infer Value> ? Value : never

/** The key, with what is wished for written at the client or at the route. */
function keyOf(wished: Wish, where: 'client' | 'route'): string {
  const given = {
    ...(wished.scopes.length > 0 && { scopes: wished.scopes }),
    ...(wished.audience.length > 0 && { audience: wished.audience }),
    ...(wished.resource.length > 0 && { resource: wished.resource }),
  }
  const client = clientOptions.parse({
    authorization_server: 'sso',
    client_id: wished.clientId,
    client_secret: wished.secret,
    token_endpoint_auth_method: wished.method,
    scope_policy: wished.policy,
    ...(where === 'client' && { ...given, token_params: wished.params }),
  })
  const server = servers[wished.server] ?? expect.unreachable('no such server')
  const token = where === 'route' ? { ...given, params: wished.params } : {}
  return createTokenRequest({ name: 'any', client, server, token, cache }).keys()[0] ?? ''
}

const asSet = (values: readonly string[]) => [...new Set(values)].sort()

/** What a wish comes down to, for comparison. */
function meaning(wished: Wish): object {
  return {
    ...wished,
    scopes: asSet(wished.scopes),
    audience: asSet(wished.audience),
    resource: asSet(wished.resource),
    params: new Map(Object.entries(wished.params).sort(([one], [other]) => (one < other ? -1 : 1))),
  }
}

function isEqual(one: Wish, other: Wish): boolean {
  try {
    expect(meaning(one)).toEqual(meaning(other))
    return true
  } catch {
    return false
  }
}

describe('which requests share a token', () => {
  it('those that differ in nothing but order and repetition, wherever they are written', () => {
    fc.assert(
      fc.property(wish, fc.infiniteStream(fc.nat()), (wished, random) => {
        const shuffle = <Value>(values: readonly Value[]) =>
          values
            .map((value) => ({ value, at: random.next().value ?? 0 }))
            .sort((one, other) => one.at - other.at)
            .map(({ value }) => value)
        const other = {
          ...wished,
          scopes: shuffle([...wished.scopes, ...wished.scopes.slice(0, 1)]),
          audience: shuffle([...wished.audience, ...wished.audience.slice(0, 1)]),
          resource: shuffle([...wished.resource, ...wished.resource.slice(0, 1)]),
          params: Object.fromEntries(shuffle(Object.entries(wished.params))),
        }
        expect(keyOf(other, 'route')).toBe(keyOf(wished, 'client'))
      }),
      { numRuns: 1000 },
    )
  })

  it('and no others, whatever is in them', () => {
    fc.assert(
      fc.property(wish, wish, (one, other) => {
        expect(keyOf(one, 'client') === keyOf(other, 'client')).toBe(isEqual(one, other))
      }),
      { numRuns: 1000 },
    )
  })

  it('and no others, where they differ in one thing alone', () => {
    const names = [
      'server',
      'clientId',
      'secret',
      'method',
      'policy',
      'scopes',
      'audience',
      'resource',
      'params',
    ] as const
    fc.assert(
      fc.property(wish, wish, fc.constantFrom(...names), (one, from, name) => {
        const other: Wish = { ...one, [name]: from[name] }
        expect(keyOf(one, 'client') === keyOf(other, 'route')).toBe(isEqual(one, other))
      }),
      { numRuns: 2000 },
    )
  })

  it('and no others: two values are never one that looks like both of them joined', () => {
    const pair = fc.uniqueArray(fc.constantFrom('urn:a', 'urn:b', 'urn:c'), { minLength: 2, maxLength: 2 })
    const names = fc.constantFrom('scopes', 'audience', 'resource')
    fc.assert(
      fc.property(wish, names, pair, fc.constantFrom(',', ';', '', '","'), (wished, name, values, separator) => {
        fc.pre(name !== 'scopes' || !separator.includes('"'))
        const sorted = asSet(values)
        const joined = { ...wished, [name]: [sorted.join(separator)] }
        expect(keyOf(joined, 'client')).not.toBe(keyOf({ ...wished, [name]: sorted }, 'client'))
      }),
      { numRuns: 500 },
    )
  })

  it('the key tells nothing of what it is for, and is another one in every process', () => {
    const wished: Wish = {
      server: 0,
      clientId: 'a',
      secret: 'b',
      method: 'client_secret_basic',
      policy: 'warn',
      scopes: [],
      audience: [],
      resource: [],
      params: {},
    }
    expect(keyOf(wished, 'client')).toMatch(/^[\w-]{43}$/)
    const text = 'the same request'
    expect(createMemoryTokenCache().keysOf(text)).not.toEqual(createMemoryTokenCache().keysOf(text))
  })
})
