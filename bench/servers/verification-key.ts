import { createPublicKey } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import type { JSONWebKeySet } from 'jose'

/** Writes the one key for RS256 of the set there into a file (PEM, SPKI), and gives back its `kid`. */
export async function writeVerificationKey(jwksUri: string, file: string): Promise<string> {
  const { keys } = (await (await fetch(jwksUri)).json()) as JSONWebKeySet
  const key = keys.find(({ alg }) => alg === 'RS256')
  if (!key?.kid) throw new Error(`no key for RS256 at ${jwksUri}`)
  writeFileSync(file, createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' }))
  return key.kid
}
