import { format, inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createLog } from '../../src/base/log.ts'
import { Secret } from '../../src/base/secret.ts'

const value = 'bL1a2V2kouKh4sBMX0UrSmc0d3qubD1a'
const secret = new Secret(() => value)

/** Every way in which Node turns a value into text. */
const printings: Record<string, () => string> = {
  'String()': () => String(secret),
  'a template': () => `${secret}`,
  concatenation: () => `a ${secret as unknown as string}`,
  'JSON.stringify': () => JSON.stringify({ secret, nested: [{ secret }] }),
  'util.inspect': () => inspect(secret),
  'util.inspect with everything shown': () =>
    inspect({ deep: [secret] }, { showHidden: true, depth: 9, customInspect: true }),
  'util.inspect without custom inspection': () => inspect(secret, { showHidden: true, customInspect: false, depth: 9 }),
  'util.format %s %o %O %j': () => format('%s %o %O %j', secret, secret, secret, secret),
  'an error message': () => new Error(`wrong: ${secret}`).stack ?? '',
  'an error with it as cause': () => inspect(new Error('wrong', { cause: secret })),
  'Object.entries': () => JSON.stringify(Object.entries(secret)),
  'Object.prototype.toString': () => Object.prototype.toString.call(secret),
  structuredClone: () => inspect(structuredClone({ ...secret })),
  'a URL': () => new URL(`http://a/?secret=${secret}`).href,
  URLSearchParams: () => new URLSearchParams({ secret: secret as unknown as string }).toString(),
  Buffer: () => Buffer.from(`${secret}`).toString(),
  'a log line': () => {
    const lines: string[] = []
    createLog({ write: (line) => void lines.push(line) }).info({ secret, nested: { secret } }, 'hello')
    return lines.join('')
  },
}

describe('a secret never prints', () => {
  for (const [way, print] of Object.entries(printings)) {
    it(`by ${way}`, () => {
      expect(print()).not.toContain(value)
    })
  }

  it('and prints as [redacted], also after it was read', () => {
    expect(secret.read()).toBe(value)
    expect(secret.recent()).toBe(value)
    expect(`${secret} ${JSON.stringify(secret)} ${inspect(secret)}`).toBe('[redacted] "[redacted]" [redacted]')
    expect(inspect(secret, { showHidden: true, customInspect: false })).not.toContain(value)
  })
})
