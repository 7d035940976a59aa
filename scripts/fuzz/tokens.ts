import { createHmac } from 'node:crypto'
import { encode, type SigningKey, signBytes } from '../../test/harness/tokens.ts'
import { below, chance, pick, type Random } from '../random.ts'
import { mutate } from './mutations.ts'
import { createManners, type RequestCase } from './requests.ts'
import { audience, guardScope, issuer, otherIssuer, type TokenKeys } from './token-oracle.ts'

type Members = Record<string, unknown>

/** A request with a token that was made up, and whether it must be accepted. */
export interface TokenCase extends RequestCase {
  readonly token: string
  readonly good: boolean
}

const nastyValues: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1, 1.5, 1e21, 1e308, -1e308, '', ' ', 'admin', 'ADMIN', 'admin ', 'admin\tx', 'any'],
  ...[[], {}, [[]], [null], ['admin'], ['admin', 1], [['admin']], { admin: true }, { length: 1, 0: 'admin' }],
  ...[issuer, `${issuer}/`, issuer.toUpperCase(), [issuer], otherIssuer, audience, [audience], [audience, 1], 'none'],
  ...[
    'RS256',
    'HS256',
    'ES256',
    'EdDSA',
    'Ed25519',
    '../../own.json',
    'https://evil.example/jwks',
    '__proto__',
    '\ud800',
  ],
  ...['at+jwt', 'application/at+jwt', 'JWT', 'logout+jwt', '\0', 'a\r\nX-Client-Id: the-admin', 'x'.repeat(3000)],
]

const claimNames = [
  ...[
    'iss',
    'aud',
    'exp',
    'nbf',
    'iat',
    'sub',
    'scope',
    'scp',
    'client_id',
    'azp',
    'jti',
    'cnf',
    'nonce',
    'at_hash',
    'events',
  ],
  ...['c_hash', '__proto__', 'constructor', 'toString', 'hasOwnProperty', 'realm_access', ''],
]
const headerNames = [
  ...[
    'alg',
    'typ',
    'kid',
    'crit',
    'b64',
    'zip',
    'enc',
    'cty',
    'jku',
    'jwk',
    'x5u',
    'x5c',
    'x5t',
    'x5t#S256',
    '__proto__',
  ],
  ...['p2c', 'epk', 'iss', 'aud', 'exp', 'constructor'],
]
const pieces = [
  ...[
    '"alg":"none",',
    '"scope":"admin",',
    ',',
    '{',
    '}',
    '[',
    ']',
    '"',
    '\\u0000',
    '\\',
    '//',
    'NaN',
    '1e400',
    '\ufeff',
    '.',
    '==',
  ],
  ...[
    'eyJhbGciOiJub25lIn0',
    'e30',
    '-_',
    '+/',
    '%00',
    ' ',
    '\n',
    'null',
    '"__proto__":{"scope":"admin"},',
    '{"keys":[]}',
  ],
]

export function createTokenCase(random: Random, keys: TokenKeys): TokenCase {
  const good = chance(random, 0.1)
  const token = good ? createGoodToken(random, keys) : createBadToken(random, keys)
  const scheme =
    good || chance(random, 0.9) ? 'Bearer ' : pick(random, ['bearer ', 'Bearer  ', 'Bearer', 'DPoP ', 'Bearer\t', ''])
  const request = `GET /admin/token HTTP/1.1\r\nHost: a\r\nAuthorization: ${scheme}${token}\r\n`
  const bytes = Buffer.from(`${request}Connection: close\r\n\r\n`, 'utf8').toString('latin1')
  return { bytes, token, good, ...createManners(random, bytes), ...(good && { manner: 'ends', patient: true }) }
}

function validClaims(): Members {
  const now = Math.floor(Date.now() / 1000)
  const client = 'somebody'
  return { iss: issuer, aud: audience, sub: client, client_id: client, scope: guardScope, iat: now, exp: now + 600 }
}

/** In a spelling of its own, and good. */
function createGoodToken(random: Random, { own }: TokenKeys): string {
  const key = pick(random, own)
  const claims: Members = {
    ...validClaims(),
    ...(chance(random, 0.3) && { aud: ['x', audience] }),
    ...(chance(random, 0.3) && { scope: `customer.read ${guardScope}` }),
    ...(chance(random, 0.3) && { extra: pick(random, [1, null, [], { a: { b: ['c'] } }, 'é\u{1f600}', '__proto__']) }),
    ...(chance(random, 0.3) && { jti: String(random()) }),
  }
  const header: Members = {
    alg: key.alg,
    ...(chance(random, 0.8) && { kid: key.jwk.kid }),
    ...(chance(random, 0.8) && { typ: pick(random, ['at+jwt', 'JWT', 'application/at+jwt', 'AT+JWT']) }),
  }
  return sign(
    key,
    JSON.stringify(shuffle(random, header)),
    JSON.stringify(shuffle(random, claims), null, below(random, 3)),
  )
}

function shuffle(random: Random, members: Members): Members {
  const entries = Object.entries(members).map((entry) => ({ entry, at: random() }))
  return Object.fromEntries(entries.sort((one, other) => one.at - other.at).map(({ entry }) => entry))
}

/** Most likely bad: who judges what came of it asks {@link objectionTo}. */
function createBadToken(random: Random, keys: TokenKeys): string {
  const key = pick(random, keys.own)
  const claims = change(random, validClaims(), claimNames, 0.5)
  const header = change(random, { alg: key.alg, kid: key.jwk.kid, typ: 'at+jwt' }, headerNames, 0.5)
  const head = rewrite(random, JSON.stringify(header))
  const body = rewrite(random, JSON.stringify(claims))
  const token = signSomehow(random, { key, head, body, keys })
  return chance(random, 0.4) ? mutate(random, token, [...pieces, ...token.split('.')], 3) : token
}

function change(random: Random, members: Members, names: readonly string[], probability: number): Members {
  const changed = { ...members }
  while (chance(random, probability)) {
    const name = pick(random, chance(random, 0.5) ? Object.keys(members) : names)
    if (chance(random, 0.2)) delete changed[name]
    else
      Object.defineProperty(changed, name, {
        value: pick(random, nastyValues),
        enumerable: true,
        configurable: true,
        writable: true,
      })
  }
  return changed
}

/** The same JSON, or nearly. */
function rewrite(random: Random, json: string): string {
  if (chance(random, 0.7)) return json
  if (chance(random, 0.3)) return json.replace('{', () => `{${pick(random, pieces)}`)
  return mutate(random, json, pieces, 2)
}

interface Unsigned {
  readonly key: SigningKey
  readonly head: string
  readonly body: string
  readonly keys: TokenKeys
}

type Signer = (random: Random, unsigned: Unsigned) => string

const sign = (key: SigningKey, head: string, body: string) => {
  const input = `${encode(head)}.${encode(body)}`
  return `${input}.${encode(signBytes(key, input))}`
}

const signers: readonly Signer[] = [
  (random, { head, body, keys }) => sign(pick(random, keys.others), head, body),
  (random, { head, body, keys }) => sign(pick(random, keys.own), head, body),
  (_random, { head, body }) => `${encode(head)}.${encode(body)}.`,
  (random, { key, head, body }) => {
    const input = `${encode(head)}.${encode(body)}`
    const pem = String(key.publicKey.export({ type: 'spki', format: 'pem' }))
    const secret = pick(random, [pem, pem.trim(), JSON.stringify(key.jwk), '', key.jwk.kid])
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  },
  (random, { head, body }) => `${encode(head)}.${encode(body)}.${encode(Buffer.alloc(pick(random, [1, 64, 256])))}`,
  (random, { key, head, body, keys }) => {
    const [, ...rest] = sign(key, head, body).split('.')
    return [sign(pick(random, keys.own), '{"alg":"none"}', body).split('.')[0], ...rest].join('.')
  },
]

function signSomehow(random: Random, unsigned: Unsigned): string {
  if (chance(random, 0.7)) return sign(unsigned.key, unsigned.head, unsigned.body)
  return pick(random, signers)(random, unsigned)
}
