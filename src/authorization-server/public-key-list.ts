import { isUsable, type PublicKey, readPublicKey, type UnusableKey } from './public-key.ts'

/** A member of a key set that must not verify anything, and where it stands. */
export interface LeftOutKey extends UnusableKey {
  /** Counted from 1. */
  readonly position: number
  readonly kid: string | undefined
}

export interface PublicKeyList {
  readonly keys: readonly PublicKey[]
  readonly leftOut: readonly LeftOutKey[]
}

/**
 * Reads the members of a JWK set. A key whose private half lies open beside it is left out too, whatever it calls itself:
 * whoever has read the set can sign with it.
 */
export function readPublicKeys(members: readonly unknown[]): PublicKeyList {
  const read = members.map((member, index) => ({ member, key: readPublicKey(member), position: index + 1 }))
  const open = new Set(
    read.flatMap(({ member, key }) => (!isUsable(key) && key.secret ? (numbersOf(member) ?? []) : [])),
  )
  const judged = read.map(({ member, key, position }) => {
    const isOpen = isUsable(key) && open.has(numbersOf(member) ?? '')
    const kid: unknown = Object(member).kid
    return { key: isOpen ? twin : key, position, kid: typeof kid === 'string' ? kid : undefined }
  })
  return {
    keys: judged.map(({ key }) => key).filter(isUsable),
    leftOut: judged.flatMap(({ key, ...place }) => (isUsable(key) ? [] : [{ ...key, ...place }])),
  }
}

const twin: UnusableKey = { fault: 'lies open: its private half stands beside it' }

/**
 * What a key pair is known by. Not its exponent: who knows one private exponent knows the factors. Nor the y of a point: the
 * other one of the same x has the same private number, but for its sign.
 */
function numbersOf(member: unknown): string | undefined {
  const { kty, n, crv, x } = Object(member) as Readonly<Record<string, unknown>>
  const number = kty === 'RSA' ? n : x
  if (typeof number !== 'string') return undefined
  return `${kty} ${kty === 'RSA' ? '' : crv} ${Buffer.from(number, 'base64url')
    .toString('hex')
    .replace(/^(00)+/, '')}`
}
