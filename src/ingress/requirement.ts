import { z } from 'zod'
import { parseClaimPath, readClaim } from '../base/claim-path.ts'
import { GatewayError } from '../base/errors.ts'
import { listOf, oneOrMore, ruleOverMap, scopeToken, text } from '../base/scalars.ts'
import { Substituted } from '../base/substituted.ts'
import type { AccessToken } from './access-token.ts'

const expected = 'any_token, or a map with scopes, any_scope, claims or issuers'

const anyToken = z
  .unknown()
  .transform((input, context): 'any_token' => {
    const value = input instanceof Substituted && !input.fromFile ? input.read() : input
    if (value === 'any_token') return value
    const found = value === null ? 'is empty, which never means "anybody"' : 'is not understood'
    context.addIssue({ code: 'custom', message: `${found}: it must be ${expected}` })
    return z.NEVER
  })
  .meta({ type: 'string', enum: ['any_token'] })

/** A rule that has nothing to say where there is any other fault: a map with a misspelt key is not empty. */
const lastRule = {
  ...ruleOverMap,
  when: (given: { readonly value: unknown; readonly issues: readonly unknown[] }) =>
    ruleOverMap.when(given) && given.issues.length === 0,
}

const claimName = z
  .string()
  .refine((name) => parseClaimPath(name) !== undefined, 'is no claim path such as realm_access.roles or a["b.c"]')

const conditions = z
  .strictObject({
    scopes: listOf(scopeToken()).optional().describe('the token has all of these'),
    any_scope: listOf(scopeToken()).optional().describe('the token has at least one of these'),
    claims: z
      .record(claimName, oneOrMore(text()))
      .refine((claims) => Object.keys(claims).length > 0, {
        ...lastRule,
        message: 'is empty: name at least one claim, or remove the key',
      })
      .optional()
      .describe('claim path to values; the claim is, or as a list holds, one of them'),
    issuers: listOf(text()).optional().describe('names of authorization servers; default is every trusted one'),
  })
  .refine((given) => Object.keys(given).length > 0, {
    ...lastRule,
    message: `is empty, which never means "anybody": it must be ${expected}`,
  })
  .refine((given) => !(given.scopes !== undefined && given.any_scope !== undefined), {
    ...ruleOverMap,
    path: ['any_scope'],
    message: 'stands beside scopes; keep scopes (all of them) or any_scope (at least one)',
  })

/** What a route requires of a token. */
export const requireOptions = z.union([conditions, anyToken]).describe('a valid access token, and what it must hold')

export type RequireOptions = z.output<typeof requireOptions>

/** A route's requirement, ready to be asked. */
export interface Requirement {
  /** The names of the servers whose tokens count, where the route narrows them. */
  readonly servers: readonly string[] | undefined
  /** @throws {GatewayError} `insufficient_scope` or `claim_required` */
  check(token: AccessToken): void
}

export function createRequirement(options: RequireOptions): Requirement {
  const { scopes = [], any_scope: anyScope, claims = {}, issuers } = options === 'any_token' ? {} : options
  const requiredClaims = Object.entries(claims).map(([name, values]) => ({
    name,
    path: parseClaimPath(name) ?? [name],
    values,
  }))
  return {
    servers: issuers,
    check(token) {
      requireScopes(token, scopes)
      if (anyScope) requireAnyScope(token, anyScope)
      for (const claim of requiredClaims) {
        if (!holdsOneOf(readClaim(token.claims, claim.path), claim.values)) {
          throw new GatewayError('claim_required', {
            reason: `the claim ${claim.name} holds none of the required values`,
          })
        }
      }
    },
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc6750#section-3.1 */
function requireScopes(token: AccessToken, scopes: readonly string[]): void {
  const missing = scopes.filter((scope) => !token.scopes.includes(scope))
  if (missing.length === 0) return
  const challenge = { error: 'insufficient_scope', scope: scopes } as const
  throw new GatewayError('insufficient_scope', { reason: `the scope lacks ${missing.join(' ')}`, challenge })
}

/** The challenge names no scope here: a list in it would say that all of them are needed. */
function requireAnyScope(token: AccessToken, scopes: readonly string[]): void {
  if (scopes.some((scope) => token.scopes.includes(scope))) return
  const challenge = { error: 'insufficient_scope' } as const
  throw new GatewayError('insufficient_scope', { reason: `the scope has none of ${scopes.join(' ')}`, challenge })
}

/** Compared as text, whole: neither a part of a value nor a number that looks like it will do. */
function holdsOneOf(claim: unknown, values: readonly string[]): boolean {
  const held: readonly unknown[] = Array.isArray(claim) ? claim : [claim]
  return held.some((value) => typeof value === 'string' && values.includes(value))
}
