import { createHmac, createPublicKey, verify } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { isUsable, type PublicKey, readPublicKey } from '../../src/authorization-server/public-key.ts'
import type { SignatureAlgorithm } from '../../src/authorization-server/signature-algorithms.ts'
import { encode } from '../harness/tokens.ts'
import { expectRefusal } from './refusal.ts'
import { startVerifier } from './verifier.ts'

/**
 * What the specifications publish. Their signatures must hold; as access tokens each of them is refused, and the reason
 * says what it lacks: the claims, a date of this decade, an algorithm that is no shared secret, or the one serialization.
 */
const claims = 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
const hobbit = encode(
  "It’s a dangerous business, Frodo, going out your door. You step onto the road, and if you don't keep your feet, there’s no knowing where you might be swept off to.",
)

const rsa7515 = {
  kty: 'RSA',
  n: 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
  e: 'AQAB',
}
const p256 = {
  kty: 'EC',
  crv: 'P-256',
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
}
const p521 = {
  kty: 'EC',
  crv: 'P-521',
  x: 'AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk',
  y: 'ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2',
}
const bilboRsa = {
  kty: 'RSA',
  kid: 'bilbo.baggins@hobbiton.example',
  use: 'sig',
  n: 'n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw',
  e: 'AQAB',
}
const bilboEc = {
  kty: 'EC',
  kid: 'bilbo.baggins@hobbiton.example',
  use: 'sig',
  crv: 'P-521',
  x: 'AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt',
  y: 'AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1',
}
const ed25519 = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }

const rs256 =
  'cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw'
const es256 = 'DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'
const head = (header: object) => encode(JSON.stringify(header))
const kid = bilboRsa.kid
const secretKid = '018c0ae5-4d9b-471b-bfd6-eef314bc7037'
const bilbosRs256 =
  'MIsjqtVlOpa71KE-Mss8_Nq2YH4FGhiocsqrgi5NvyG53uoimic1tcMdSg-qptrzZc7CG6Svw2Y13TDIqHzTUrL_lR2ZFcryNFiHkSw129EghGpwkpxaTn_THJTCglNbADko1MZBCdwzJxwqZc-1RlpO2HibUYyXSwO97BSe0_evZKdjvvKSgsIqjytKSeAMbhMBdMma622_BG5t4sdbuCHtFjp9iJmkio47AIwqkZV1aIZsv33uPUqBBCXbYoQJwt7mxPftHmNlGoOSMxR_3thmXTCm4US-xiNOyhbm8afKK64jU6_TPtQHiJeQJxz9G3Tx-083B745_AfYOnlC9w'
const unprotectedEs512 =
  'ARcVLnaJJaUWG8fG-8t5BREVAuTY8n8YHjwDO1muhcdCoFZFFjfISu0Cdkn9Ybdlmi54ho0x924DUz8sK7ZXkhc7AFM8ObLfTvNCrqcI3Jkl2U5IX3utNhODH6v7xgy1Qahsn0fyb4zSAkje8bAWz4vIfj5pCMYxxm4fgV3q7ZYhm5eD'

const expired = /it has expired/
const noClaims = /payload is not exactly one JSON object/
const noJwt = /no signed JWT in three parts/
const sharedSecret = /algorithm .*is none of the accepted/
const json = /in JSON serialization/

interface Signed {
  readonly alg: SignatureAlgorithm
  readonly key: object
  readonly token: string
  /** Why it is no access token all the same. */
  readonly refused: RegExp
}

const signed: Record<string, Signed> = {
  'RFC 7515 A.2': {
    alg: 'RS256',
    key: rsa7515,
    token: `${head({ alg: 'RS256' })}.${claims}.${rs256}`,
    refused: expired,
  },
  'RFC 7515 A.3': { alg: 'ES256', key: p256, token: `${head({ alg: 'ES256' })}.${claims}.${es256}`, refused: expired },
  'RFC 7515 A.4': {
    alg: 'ES512',
    key: p521,
    token: `${head({ alg: 'ES512' })}.${encode('Payload')}.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn`,
    refused: noClaims,
  },
  'RFC 7520 4.1': {
    alg: 'RS256',
    key: bilboRsa,
    token: `${head({ alg: 'RS256', kid })}.${hobbit}.MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg`,
    refused: noClaims,
  },
  'RFC 7520 4.2': {
    alg: 'PS384',
    key: bilboRsa,
    token: `${head({ alg: 'PS384', kid })}.${hobbit}.cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw`,
    refused: noClaims,
  },
  'RFC 7520 4.3': {
    alg: 'ES512',
    key: bilboEc,
    token: `${head({ alg: 'ES512', kid })}.${hobbit}.AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2`,
    refused: noClaims,
  },
  'RFC 7520 4.8, the first of three, put together as a compact one': {
    alg: 'RS256',
    key: bilboRsa,
    token: `${head({ alg: 'RS256' })}.${hobbit}.${bilbosRs256}`,
    refused: noClaims,
  },
  'RFC 8037 A.4': {
    alg: 'EdDSA',
    key: ed25519,
    token: `${head({ alg: 'EdDSA' })}.${encode('Example of Ed25519 signing')}.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg`,
    refused: noClaims,
  },
}

function usable(jwk: object): PublicKey {
  const key = readPublicKey(jwk)
  if (!isUsable(key)) throw new TypeError(key.fault)
  return key
}

async function expectRefused(token: string, reason: RegExp): Promise<void> {
  const keys = [rsa7515, p256, p521, bilboRsa, bilboEc, ed25519]
  const verifier = await startVerifier({ issuers: ['joe'], keys, options: { audience: 'any' } })
  await expectRefusal(verifier, token, reason)
  await verifier.stop()
}

/** With one bit changed, in the part of that index. */
function damaged(token: string, index: number): string {
  return token
    .split('.')
    .map((part, at) => {
      if (at !== index) return part
      const bytes = Buffer.from(part, 'base64url')
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
      return bytes.toString('base64url')
    })
    .join('.')
}

describe('the published signatures hold, and not with a bit changed', () => {
  for (const [name, { alg, key, token, refused }] of Object.entries(signed)) {
    test(`${name} (${alg})`, async () => {
      expect(usable(key).fits(alg)).toBe(true)
      expect(await usable(key).hasSigned(token, alg)).toBe(true)
      expect(await usable(key).hasSigned(damaged(token, 1), alg)).toBe(false)
      expect(await usable(key).hasSigned(damaged(token, 2), alg)).toBe(false)
    })
    test(`${name} is no access token`, () => expectRefused(token, refused))
  }
})

const secret7515 = 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow'
const secret7520 = 'hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg'
const hs256 = head({ alg: 'HS256', kid: secretKid })

/** The input that is signed, the secret, the signature; and the token that is made of them, and why it is refused. */
const withSecrets: Record<string, readonly [input: string, secret: string, signature: string, token: string, RegExp]> =
  {
    'RFC 7515 A.1': [
      `${encode('{"typ":"JWT",\r\n "alg":"HS256"}')}.${claims}`,
      secret7515,
      'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
      `${encode('{"typ":"JWT",\r\n "alg":"HS256"}')}.${claims}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`,
      sharedSecret,
    ],
    'RFC 7520 4.4': [
      `${hs256}.${hobbit}`,
      secret7520,
      's0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0',
      `${hs256}.${hobbit}.s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0`,
      noClaims,
    ],
    'RFC 7520 4.5 (detached)': [
      `${hs256}.${hobbit}`,
      secret7520,
      's0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0',
      `${hs256}..s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0`,
      noJwt,
    ],
    'RFC 7520 4.6 (JSON)': [
      `${head({ alg: 'HS256' })}.${hobbit}`,
      secret7520,
      'bWUSVaxorn7bEF1djytBd0kHv70Ly5pvbomzMWSOr20',
      JSON.stringify({
        payload: hobbit,
        protected: head({ alg: 'HS256' }),
        header: { kid: secretKid },
        signature: 'bWUSVaxorn7bEF1djytBd0kHv70Ly5pvbomzMWSOr20',
      }),
      json,
    ],
    'RFC 7520 4.7 (JSON, nothing in the header protected)': [
      `.${hobbit}`,
      secret7520,
      'xuLifqLGiblpv9zBpuZczWhNj1gARaLV3UxvxhJxZuk',
      JSON.stringify({
        payload: hobbit,
        header: { alg: 'HS256', kid: secretKid },
        signature: 'xuLifqLGiblpv9zBpuZczWhNj1gARaLV3UxvxhJxZuk',
      }),
      json,
    ],
  }

describe('what is signed with a shared secret is refused, also where the secret is in a key set', () => {
  for (const [name, [input, secret, signature, token, refused]] of Object.entries(withSecrets)) {
    test(name, async () => {
      expect(createHmac('sha256', Buffer.from(secret, 'base64url')).update(input).digest('base64url')).toBe(signature)
      expect(readPublicKey({ kty: 'oct', kid: secretKid, use: 'sig', alg: 'HS256', k: secret })).toHaveProperty(
        'secret',
      )
      await expectRefused(token, refused)
    })
  }
})

describe('what has no signature, or another serialization, is refused', () => {
  const signatures = [
    { protected: head({ alg: 'RS256' }), header: { kid: '2010-12-29' }, signature: rs256 },
    { protected: head({ alg: 'ES256' }), header: { kid: 'e9bc097a-ce51-4036-9562-d2ade882db0d' }, signature: es256 },
  ]
  test('RFC 7515 A.5 (none)', () => expectRefused(`${head({ alg: 'none' })}.${claims}.`, noJwt))
  test('RFC 7515 A.5 with something in place of a signature', () =>
    expectRefused(`${head({ alg: 'none' })}.${claims}.${es256}`, sharedSecret))
  test('RFC 7515 A.6 (general JSON)', () => expectRefused(JSON.stringify({ payload: claims, signatures }), json))
  test('RFC 7515 A.7 (flattened JSON)', () =>
    expectRefused(JSON.stringify({ payload: claims, ...signatures[1] }), json))
  test('RFC 7520 4.8 (three signatures)', () =>
    expectRefused(
      JSON.stringify({
        payload: hobbit,
        signatures: [
          { protected: head({ alg: 'RS256' }), header: { kid }, signature: bilbosRs256 },
          { header: { alg: 'ES512', kid }, signature: unprotectedEs512 },
          { protected: hs256, signature: 's0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0' },
        ],
      }),
      json,
    ))

  test('RFC 7520 4.8, the second of three: good, and of no use where the header is not signed', async () => {
    const key = createPublicKey({ key: bilboEc, format: 'jwk' })
    const signature = Buffer.from(unprotectedEs512, 'base64url')
    expect(verify('sha512', Buffer.from(`.${hobbit}`), { key, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true)
    const token = `.${hobbit}.${unprotectedEs512}`
    expect(await usable(bilboEc).hasSigned(token, 'ES512')).toBe(false)
    await expectRefused(token, noJwt)
  })

  test('RFC 7515 appendix E: a token that says what must be understood (crit)', () =>
    expectRefused(
      'eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0.RkFJTA.',
      noJwt,
    ))
})
