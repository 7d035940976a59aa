import { type KeyObject, randomUUID } from 'node:crypto'
import { type JWTPayload, SignJWT } from 'jose'
import { registerSecret } from '../../harness/secrets.ts'

/** A JWT that a workload might have from elsewhere, by ES256; it lives for an hour. */
export async function signedAssertion(key: KeyObject, claims: JWTPayload): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const jwt = new SignJWT({ jti: randomUUID(), iat: now, exp: now + 3600, ...claims })
  return registerSecret(await jwt.setProtectedHeader({ alg: 'ES256' }).sign(key))
}
