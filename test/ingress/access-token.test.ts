import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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

  for (const alg of ['RS256', 'RS384', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const) {
    test(`may be signed with ${alg}`, async () => {
      const key = createSigningKey(alg)
      const own = await startVerifier({ keys: [key] })
      expect(await own.verify(createToken(key, parts()))).toMatchObject({ server: 'sso' })
      await own.stop()
    })
  }

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

/** @see https://www.rfc-editor.org/rfc/rfc7515#appendix-A */
describe('the examples of RFC 7515', () => {
  const payload = 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
  const examples = {
    'A.2 (RS256)': {
      token: `eyJhbGciOiJSUzI1NiJ9.${payload}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw`,
      key: {
        kty: 'RSA',
        n: 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
        e: 'AQAB',
      },
    },
    'A.3 (ES256)': {
      token: `eyJhbGciOiJFUzI1NiJ9.${payload}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`,
      key: {
        kty: 'EC',
        crv: 'P-256',
        x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
        y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
      },
    },
  }
  for (const [name, example] of Object.entries(examples)) {
    test(`${name} has a good signature, and expired in 2011`, async () => {
      const own = await startVerifier({ issuers: ['joe'], keys: [example.key], options: { audience: 'any' } })
      expect(await rejection(own.verify(example.token))).toBe('it has expired')
      await own.stop()
    })
  }

  test('A.1 (HS256) is refused for its algorithm', async () => {
    const own = await startVerifier({ issuers: ['joe'], keys: [rsa], options: { audience: 'any' } })
    const hs256 = `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${payload}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`
    expect(await rejection(own.verify(hs256))).toMatch(/algorithm/)
    await own.stop()
  })
})
