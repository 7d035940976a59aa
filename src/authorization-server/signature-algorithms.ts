/** The kind of key that belongs to an algorithm. */
export interface KeyKind {
  readonly kty: 'RSA' | 'EC' | 'OKP'
  readonly crv?: string
}

const rsa: KeyKind = { kty: 'RSA' }
const ed25519: KeyKind = { kty: 'OKP', crv: 'Ed25519' }

/**
 * The signature algorithms that a token may name, each with its kind of key. All are asymmetric: with `HS*` in here, a
 * public key could be used as a secret that everybody knows, and with `none` no key would be needed at all.
 * @see https://www.rfc-editor.org/rfc/rfc8725#section-3.1
 */
export const signatureAlgorithms = {
  RS256: rsa,
  RS384: rsa,
  RS512: rsa,
  PS256: rsa,
  PS384: rsa,
  PS512: rsa,
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: ed25519,
  Ed25519: ed25519,
} as const satisfies Record<string, KeyKind>

export type SignatureAlgorithm = keyof typeof signatureAlgorithms

/** Their names, in the order of the table. */
export const signatureAlgorithmNames = Object.keys(signatureAlgorithms) as SignatureAlgorithm[]

/** True for a name of the table, spelt exactly so: `none` has been let in as `nOnE` elsewhere. */
export function isSignatureAlgorithm(name: unknown): name is SignatureAlgorithm {
  return typeof name === 'string' && Object.hasOwn(signatureAlgorithms, name)
}

const namesOfEd25519: readonly unknown[] = ['EdDSA', 'Ed25519'] satisfies SignatureAlgorithm[]

/** True for two names of one algorithm: with a key of Ed25519, `EdDSA` says the same. @see https://www.rfc-editor.org/rfc/rfc9864#section-2.2 */
export function isSameAlgorithm(one: unknown, other: unknown): boolean {
  return one === other || (namesOfEd25519.includes(one) && namesOfEd25519.includes(other))
}
