import { expect, test, vi } from 'vitest'
import type { HeaderPolicyOptions } from '../../src/proxy/request-headers.ts'

const names = [
  'authorization',
  'cookie',
  'traceparent',
  'baggage',
  'forwarded',
  'x-forwarded-for',
  'x-real-ip',
  'x-user',
]
const others = ['X_User', 'x-token', 'X_Forwarded_For', 'accept', 'via', 'connection']

/** Every mixture of what decides on a caller's headers. */
const policies: readonly HeaderPolicyOptions[] = [undefined, 'authorization', 'x-token'].flatMap((tokenHeader) =>
  [undefined, true, false].flatMap((forwardedHeaders) =>
    [true, false].flatMap((forwardAuthorization) =>
      [true, false].flatMap((bare) =>
        [[], ['x-user']].map((reservedHeaders) => ({
          ...{ reservedHeaders, identityHeaders: {}, viaName: 'scopegate', bare, forwardAuthorization },
          ...(tokenHeader !== undefined && { tokenHeader }),
          ...(forwardedHeaders !== undefined && { forwardedHeaders }),
        })),
      ),
    ),
  ),
)

async function verdicts(each: readonly HeaderPolicyOptions[]): Promise<string[]> {
  vi.resetModules()
  const { compileHeaderPolicy } = await import('../../src/proxy/request-headers.ts')
  const judges = each.map((options) => compileHeaderPolicy(options).judge)
  return judges.map((judge) => [...names, ...others].map((name) => judge(name).passes).join(' '))
}

test('what one route does with headers never depends on which others there are', { timeout: 60_000 }, async () => {
  const alone: string[] = []
  for (const options of policies) alone.push(...(await verdicts([options])))
  expect(new Set(alone).size).toBeGreaterThan(8)
  expect(await verdicts(policies)).toEqual(alone)
  expect((await verdicts(policies.toReversed())).toReversed()).toEqual(alone)
})
