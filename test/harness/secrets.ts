import { randomBytes } from 'node:crypto'
import { record } from './records.ts'

/** Characters. */
export const shortestSecret = 8

/**
 * Notes a secret or a token of this test run; at its end no log line and no recorded output may contain it, however it is
 * spelt. Returns it. Throws a TypeError for one so short that it would be found everywhere.
 */
export function registerSecret(secret: string): string {
  if (secret.length < shortestSecret)
    throw new TypeError(`a test's secret needs ${shortestSecret} characters: "${secret}"`)
  record('secrets', `${JSON.stringify(secret)}\n`)
  return secret
}

/** A fresh secret, registered. */
export function createSecret(): string {
  return registerSecret(randomBytes(24).toString('base64url'))
}
