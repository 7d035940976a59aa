import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signatureAlgorithmNames } from '../../src/authorization-server/signature-algorithms.ts'
import { createSigningKey, createToken, type Members, type TokenParts } from '../harness/tokens.ts'
import { audience, issuer, parts, startVerifier, type TestVerifier } from './verifier.ts'

const rsa = createSigningKey('RS256')
let verifier: TestVerifier
const now = () => Math.floor(verifier.clock.now() / 1000)

beforeAll(async () => {
  verifier = await startVerifier({ keys: [rsa] })
})
afterAll(() => verifier.stop())

const token = (changes?: Partial<TokenParts>) => createToken(rsa, parts(changes))

/** Runs with a verifier whose `access_tokens` block has these keys beside the audience. */
async function withOptions<Value>(options: Members, use: (verifier: TestVerifier) => Promise<Value>): Promise<Value> {
  const own = await startVerifier({ keys: [rsa], options })
  try {
    return await use(own)
  } finally {
    await own.stop()
  }
}

function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'accepted',
    (error) => error.message,
  )
}

describe('a valid token', () => {
  test('says who the client is, what its scope is, and which server issued it', async () => {
    expect(await verifier.verify(token())).toMatchObject({
      server: 'sso',
      clientId: 'legacy',
      scopes: ['customer.read'],
    })
  })

  for (const alg of signatureAlgorithmNames) {
    test(`may be signed with ${alg}`, async () => {
      const key = createSigningKey(alg)
      const own = await startVerifier({ keys: [key] })
      const signed = createToken(key, parts())
      expect(await own.verify(signed)).toMatchObject({ server: 'sso' })
      const [head, body, signature = ''] = signed.split('.')
      for (const at of [0, Math.floor(signature.length / 2)]) {
        const changed = signature.slice(0, at) + (signature[at] === 'A' ? 'B' : 'A') + signature.slice(at + 1)
        expect(await rejection(own.verify([head, body, changed].join('.')))).toBe('its signature is wrong')
      }
      expect(await rejection(own.verify(createToken(createSigningKey(alg), parts())))).toBe('its signature is wrong')
      await own.stop()
    })
  }

  test('may call an Edwards curve by its old or its new name, whichever the key has', async () => {
    for (const [ofKey, ofToken] of [
      ['EdDSA', 'Ed25519'],
      ['Ed25519', 'EdDSA'],
    ] as const) {
      const key = createSigningKey(ofKey)
      const own = await startVerifier({ keys: [key] })
      expect(await own.verify(createToken(key, parts({ header: { alg: ofToken } })))).toMatchObject({ server: 'sso' })
      expect(await rejection(own.verify(createToken(key, parts({ header: { alg: 'Ed448' } }))))).toMatch(/no key/)
      await own.stop()
    }
    const key = createSigningKey('Ed448')
    const own = await startVerifier({ keys: [{ ...key.jwk, alg: 'EdDSA' }] })
    expect(await own.verify(createToken(key, parts()))).toMatchObject({ server: 'sso' })
    expect(await rejection(own.verify(createToken(key, parts({ header: { alg: 'EdDSA' } }))))).toMatch(/no key/)
    await own.stop()
  })

  test('of Spring is accepted: no typ, the client as audience, the scope as a list', async () => {
    const spring = token({
      claims: {
        aud: 'service-client',
        sub: 'service-client',
        client_id: undefined,
        nbf: now(),
        scope: ['customer.read', 'customer.write'],
      },
      header: { typ: undefined },
    })
    const accepted = await withOptions({ audience: 'service-client' }, (own) => own.verify(spring))
    expect(accepted.scopes).toEqual(['customer.read', 'customer.write'])
  })

  test('of Keycloak is accepted: a typ claim of Bearer, azp as the client, the scope as text', async () => {
    const claims = {
      aud: 'account',
      typ: 'Bearer',
      azp: 'archive',
      client_id: undefined,
      scope: 'email profile',
      acr: '1',
    }
    const keycloak = token({ claims, header: { typ: 'JWT' } })
    const accepted = await withOptions({ audience: ['account'] }, (own) => own.verify(keycloak))
    expect(accepted).toMatchObject({ clientId: 'archive', scopes: ['email', 'profile'] })
  })

  test('may be meant for several, when one of them is us', async () => {
    expect(await verifier.verify(token({ claims: { aud: ['https://other.example', audience] } }))).toBeDefined()
  })

  test('needs no audience where every audience is accepted', async () => {
    expect(
      await withOptions({ audience: 'any' }, (own) => own.verify(token({ claims: { aud: undefined } }))),
    ).toBeDefined()
  })

  test('may have a typ header in any case, with or without application/', async () => {
    for (const typ of [undefined, 'JWT', 'jwt', 'at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/AT+jwt']) {
      expect(await verifier.verify(token({ header: { typ } }))).toBeDefined()
    }
  })

  test('is found by its key when it names none', async () => {
    expect(await verifier.verify(token({ header: { kid: undefined } }))).toBeDefined()
  })

  test('is found by its key when it names none, also when that key is new', async () => {
    const [old, fresh] = [createSigningKey('ES256', 'old'), createSigningKey('ES256', 'fresh')]
    const own = await startVerifier({ keys: [old] })
    const unnamed = (key: typeof old) => createToken(key, parts({ header: { kid: undefined } }))
    await own.verify(unnamed(old))
    own.publish(old, fresh)
    expect(await rejection(own.verify(unnamed(fresh)))).toBe('its signature is wrong')
    await own.clock.advance(10_000)
    expect(await own.verify(unnamed(fresh))).toMatchObject({ server: 'sso' })
    await own.stop()
  })

  test('has the scope and the client of the first claims that are present', async () => {
    const options = { scope_claims: ['permissions', 'a.b["c.d"]', 'scope'], client_id_claims: ['cid', 'client_id'] }
    const claims = { a: { b: { 'c.d': ['one', 'two'] } }, cid: 'first' }
    const accepted = await withOptions(options, (own) => own.verify(token({ claims })))
    expect(accepted).toMatchObject({ scopes: ['one', 'two'], clientId: 'first' })
  })

  test('has no scope at all when its scope claim is neither text nor a list of texts', async () => {
    for (const scope of [
      null,
      7,
      true,
      { 'customer.read': true },
      [['customer.read']],
      ['customer.read customer.write'],
      [1],
    ]) {
      expect((await verifier.verify(token({ claims: { scope, scp: 'customer.write' } }))).scopes).toEqual([])
    }
  })
})

describe('the times of a token', () => {
  const cases: Record<string, [claims: () => Members, outcome: string | undefined]> = {
    'expired a moment ago, within the tolerance': [() => ({ exp: now() - 4 }), undefined],
    'expired by the tolerance': [() => ({ exp: now() - 5 }), 'it has expired'],
    'valid in a moment, within the tolerance': [() => ({ nbf: now() + 5 }), undefined],
    'not valid yet': [() => ({ nbf: now() + 6 }), 'it is not valid yet'],
    'issued in a moment, within the tolerance': [() => ({ iat: now() + 5 }), undefined],
    'issued in the future': [() => ({ iat: now() + 6 }), 'it was issued in the future'],
    'with fractions of seconds': [() => ({ exp: now() + 0.5, nbf: now() - 0.5 }), undefined],
    'without iat': [() => ({ iat: undefined }), undefined],
  }
  for (const [name, [claims, outcome]] of Object.entries(cases)) {
    test(`${name}: ${outcome ?? 'accepted'}`, async () => {
      expect(await rejection(verifier.verify(token({ claims: claims() })))).toBe(outcome ?? 'accepted')
    })
  }

  test('a token that was good expires as the clock goes on', async () => {
    const own = await startVerifier({ keys: [rsa] })
    const short = token()
    await own.verify(short)
    await own.clock.advance(305_000)
    expect(await rejection(own.verify(short))).toBe('it has expired')
    await own.stop()
  })

  test('the tolerance is the configured one', async () => {
    const late = token({ claims: { exp: now() - 30 } })
    expect(await withOptions({ clock_tolerance: '1m' }, (own) => own.verify(late))).toBeDefined()
  })
})

describe('several servers', () => {
  const other = createSigningKey('ES256', 'RS256')
  const otherIssuer = 'https://login.partner.test'
  let both: TestVerifier
  beforeAll(async () => {
    both = await startVerifier(
      { keys: [rsa] },
      { name: 'partner', issuers: [otherIssuer, `${otherIssuer}/v1`], keys: [other] },
    )
  })
  afterAll(() => both.stop())

  test('the issuer of a token picks its server', async () => {
    expect((await both.verify(createToken(other, parts({ claims: { iss: otherIssuer } })))).server).toBe('partner')
    expect((await both.verify(createToken(other, parts({ claims: { iss: `${otherIssuer}/v1` } })))).server).toBe(
      'partner',
    )
    expect((await both.verify(token())).server).toBe('sso')
  })

  test('a route that names its servers takes no tokens of others', async () => {
    expect(await both.verify(token(), { servers: ['sso'] })).toBeDefined()
    await expect(both.verify(token(), { servers: ['partner'] })).rejects.toMatchObject({
      code: 'invalid_token',
      status: 401,
    })
  })

  test('two servers with one issuer are refused from the start', async () => {
    await expect(startVerifier({ keys: [rsa] }, { name: 'twin', issuers: [issuer], keys: [rsa] })).rejects.toThrow(
      TypeError,
    )
  })
})

describe('what is configured', () => {
  test('an algorithm that is not listed is refused', async () => {
    expect(await withOptions({ algorithms: ['ES256'] }, (own) => rejection(own.verify(token())))).toMatch(/algorithm/)
  })

  test('a typ that is not listed is refused, and so is a missing one', async () => {
    await withOptions({ types: ['at+jwt'] }, async (own) => {
      expect(await own.verify(token())).toBeDefined()
      expect(await rejection(own.verify(token({ header: { typ: 'JWT' } })))).toMatch(/typ header/)
      expect(await rejection(own.verify(token({ header: { typ: undefined } })))).toMatch(/typ header/)
    })
  })

  test('a token of more than max_token_size is refused', async () => {
    const large = token({ claims: { filler: 'x'.repeat(1000) } })
    expect(await verifier.verify(large)).toBeDefined()
    expect(await withOptions({ max_token_size: '1KiB' }, (own) => rejection(own.verify(large)))).toMatch(
      /max_token_size/,
    )
  })

  test('a small max_token_size of one server holds beside a large one of another', async () => {
    const own = await startVerifier(
      { keys: [rsa], options: { max_token_size: '1KiB' } },
      { name: 'other', issuers: ['https://b.test'], keys: [rsa] },
    )
    expect(await rejection(own.verify(token({ claims: { filler: 'x'.repeat(1000) } })))).toMatch(/max_token_size/)
    await own.stop()
  })
})

describe('strict: the profile of RFC 9068 alone', () => {
  const profile = { jti: 'f0e1' }
  const strict = (claims: Members, header: Members = {}) =>
    withOptions({ strict: true }, (own) => rejection(own.verify(token({ claims: { ...profile, ...claims }, header }))))

  test('takes what a server of that profile issues', async () => {
    for (const typ of ['at+jwt', 'application/at+jwt', 'AT+JWT']) expect(await strict({}, { typ })).toBe('accepted')
  })

  test('takes no other typ, and none', async () => {
    for (const typ of [undefined, 'JWT', 'jwt', 'at', 'application/jwt'])
      expect(await strict({}, { typ })).toMatch(/typ header/)
  })

  for (const claim of ['iss', 'sub', 'client_id', 'jti', 'iat', 'exp', 'aud']) {
    test(`wants ${claim}, of the right type`, async () => {
      expect(await strict({ [claim]: undefined })).toMatch(claim === 'iss' ? /issuer/ : new RegExp(claim))
      for (const wrong of [null, true, {}, []]) expect(await strict({ [claim]: wrong })).not.toBe('accepted')
    })
  }

  test('wants text that is not empty, and times that are numbers', async () => {
    for (const claim of ['sub', 'client_id', 'jti']) {
      expect(await strict({ [claim]: '' })).toMatch(claim)
      expect(await strict({ [claim]: 7 })).toMatch(claim)
    }
    for (const claim of ['iat', 'exp']) expect(await strict({ [claim]: String(now()) })).toMatch(claim)
  })

  test('takes a scope as text alone', async () => {
    expect(await strict({ scope: ['customer.read'] })).toMatch(/scope/)
    expect(await strict({ scope: undefined })).toBe('accepted')
  })

  test('is not what is asked where it is not set', async () => {
    const loose = token({
      claims: { sub: undefined, client_id: undefined, iat: undefined },
      header: { typ: undefined },
    })
    expect(await verifier.verify(loose)).toMatchObject({ clientId: undefined })
  })
})

describe('client_ids', () => {
  const only = (claims: Members, options: Members = {}) =>
    withOptions({ client_ids: ['legacy', 'batch'], ...options }, (own) => rejection(own.verify(token({ claims }))))

  test('accepts the tokens of these clients, and of no other', async () => {
    expect(await only({ client_id: 'batch' })).toBe('accepted')
    for (const client of ['Batch', 'batch ', 'batc', 'legacy,batch', 'other'])
      expect(await only({ client_id: client })).toMatch(/client/)
  })

  test('looks where client_id_claims says, and nowhere else', async () => {
    expect(await only({ client_id: 'other', azp: 'batch' })).toMatch(/client/)
    expect(await only({ client_id: 'other', azp: 'batch' }, { client_id_claims: 'azp' })).toBe('accepted')
    expect(await only({ client_id: undefined, azp: 'batch' })).toBe('accepted')
  })

  test('refuses a token that names no client', async () => {
    for (const client of [undefined, null, '', 7, ['batch'], { batch: true }]) {
      expect(await only({ client_id: client, azp: undefined })).toMatch(/names no client/)
    }
  })
})

describe('required_claims', () => {
  const required = (claims: Members) =>
    withOptions({ required_claims: ['tenant', 'a.b["c.d"]'] }, (own) => rejection(own.verify(token({ claims }))))

  test('must all be there, whatever is in them', async () => {
    for (const value of ['x', 0, false, '', [], {}])
      expect(await required({ tenant: value, a: { b: { 'c.d': 1 } } })).toBe('accepted')
    expect(await required({ tenant: 'x', a: { b: { c: { d: 1 } } } })).toMatch(/a\.b\.c\.d/)
    expect(await required({ a: { b: { 'c.d': 1 } } })).toMatch(/tenant/)
  })

  test('are not there when they are null, or inherited by every object', async () => {
    expect(await required({ tenant: null, a: { b: { 'c.d': 1 } } })).toMatch(/tenant/)
    const own = withOptions({ required_claims: ['constructor'] }, (each) => rejection(each.verify(token())))
    expect(await own).toMatch(/constructor/)
  })
})

describe('max_age', () => {
  const aged = (claims: Members) =>
    withOptions({ max_age: '1h' }, (own) =>
      rejection(own.verify(token({ claims: { exp: now() + 86_400, ...claims } }))),
    )

  test('counts from iat, with the tolerance', async () => {
    expect(await aged({ iat: now() - 3604 })).toBe('accepted')
    expect(await aged({ iat: now() - 3605 })).toMatch(/max_age/)
  })

  test('takes no token without iat', async () => {
    for (const iat of [undefined, null, String(now())]) expect(await aged({ iat })).toMatch(/iat/)
  })

  test('ends a token before its exp does', async () => {
    const accepted = await withOptions({ max_age: '1h' }, (own) =>
      own.verify(token({ claims: { exp: now() + 86_400 } })),
    )
    expect(accepted.expiresAt).toBe((now() + 3605) * 1000)
    expect((await verifier.verify(token())).expiresAt).toBe((now() + 305) * 1000)
  })
})

describe('claims of the wrong type', () => {
  for (const claim of ['sub', 'jti']) {
    test(`${claim} that is not text is refused`, async () => {
      for (const wrong of [null, 7, true, ['legacy'], {}]) {
        expect(await rejection(verifier.verify(token({ claims: { [claim]: wrong } })))).toBe(`its ${claim} is not text`)
      }
    })
  }

  test('a token that says another token is within is refused, and other contents are not', async () => {
    for (const cty of ['JWT', 'jwt', 'application/jwt', 'at+jwt', null, ['JWT']])
      expect(await rejection(verifier.verify(token({ header: { cty } })))).toMatch(/cty/)
    expect(await verifier.verify(token({ header: { cty: 'application/json' } }))).toBeDefined()
  })
})
