import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { errorCodes, GatewayError } from '../../src/base/errors.ts'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const readme = read('README.md')
const tests = readdirSync(new URL('../', import.meta.url), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.test.ts') && !path.endsWith('error-codes.test.ts'))
  .map((path) => read(`test/${path}`))

describe.each(Object.entries(errorCodes))('the code %s', (code, [status, sentence]) => {
  it('stands in the README with its status and meaning', () => {
    expect(readme).toContain(`| ${status} | \`${code}\` | ${sentence} |`)
  })

  it('is caused by a test', () => {
    expect(tests.filter((text) => new RegExp(`\\b${code}\\b`).test(text))).not.toEqual([])
  })

  it('tells its caller one sentence, which can stand in a quoted string of a header', () => {
    expect(sentence).toMatch(/^[A-Z][^"\\\r\n]*\.$/)
    const error = new GatewayError(code as keyof typeof errorCodes, { reason: 'for the log' })
    expect([error.status, error.sentence]).toEqual([status, sentence])
  })
})
