import { inspect } from 'node:util'
import { expect } from 'vitest'
import { GatewayError } from '../../src/base/errors.ts'
import type { LateVerifier } from './verifier.ts'

/** Expects 401 invalid_token for this very reason, and an error that shows no part of the token however it is printed. */
export async function expectRefusal(verifier: LateVerifier, token: string, reason: RegExp): Promise<void> {
  const error: unknown = await verifier.verify(token).catch((thrown) => thrown)
  if (!(error instanceof GatewayError))
    throw new Error('the token was accepted, or something else was thrown', { cause: error })
  expect({ code: error.code, status: error.status, challenge: error.options.challenge }).toEqual({
    code: 'invalid_token',
    status: 401,
    challenge: { error: 'invalid_token' },
  })
  expect(error.options.reason).toMatch(reason)
  const printed = inspect(error, { depth: 10, showHidden: true })
  for (const part of token.split('.').filter((text) => text.length > 8)) expect(printed).not.toContain(part)
}
