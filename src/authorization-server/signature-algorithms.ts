/** The kind of key that belongs to an algorithm. */
export interface KeyKind {
  readonly kty: 'RSA' | 'EC' | 'OKP'
  readonly crv?: string
}

const rsa: KeyKind = { kty: 'RSA' }
const ed25519: KeyKind = { kty: 'OKP', crv: 'Ed25519' }

/**
 * The signature algorithms that a token may name, each with its kind of key. All are asymmetric: with `HS*` in here, a
 * public key could be used as a secret that everybody knows, and with `none` no key would be needed at all. The name
 * `EdDSA`, which leaves the curve open, means Ed25519 alone; RFC 9864 deprecates it, and names the curves.
 * @see https://www.rfc-editor.org/rfc/rfc8725#section-3.1
 * @see https://www.rfc-editor.org/rfc/rfc9864#section-2.2
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
  Ed448: { kty: 'OKP', crv: 'Ed448' },
} as const satisfies Record<string, KeyKind>

export type SignatureAlgorithm = keyof typeof signatureAlgorithms

/** Their names, in the order of the table. */
export const signatureAlgorithmNames = Object.keys(signatureAlgorithms) as SignatureAlgorithm[]

/** True for a name of the table, spelt exactly so: `none` has been let in as `nOnE` elsewhere. */
export function isSignatureAlgorithm(name: unknown): name is SignatureAlgorithm {
  return typeof name === 'string' && Object.hasOwn(signatureAlgorithms, name)
}

/** The names of the signatures on an Edwards curve. The key's curve says which of them it makes, however it is called. */
const edwards: readonly string[] = ['EdDSA', 'Ed25519', 'Ed448'] satisfies SignatureAlgorithm[]

/**
 * True if a key that names an algorithm, and is of the right kind, makes signatures of the other name: the same one, or
 * both of them names for what an Edwards curve does. Servers change to the names of RFC 9864 in the key set and in the
 * tokens at different times, and the curve leaves no doubt.
 */
export function isSameAlgorithm(ofKey: string, ofToken: SignatureAlgorithm): boolean {
  return ofKey === ofToken || (edwards.includes(ofKey) && edwards.includes(ofToken))
}
