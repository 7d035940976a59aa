import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/base/errors.ts'
import { doubtNames } from '../../src/routes/doubts.ts'
import { readRequestTarget } from '../../src/routes/request-target.ts'

const limits = { targetLength: 8192 }

function codeOf(raw: string, targetLength = limits.targetLength): string | undefined {
  try {
    readRequestTarget(raw, { targetLength })
  } catch (error) {
    if (error instanceof GatewayError) return error.code
    throw error
  }
  return undefined
}

describe('reading a request target', () => {
  it.each<[string, string[]]>([
    ['/', ['']],
    ['/a', ['a']],
    ['/a/', ['a', '']],
    ['/a/b%2Fc', ['a', 'b/c']],
    ['/a%20b', ['a b']],
    ['/100%25', ['100%']],
    ['/caf%C3%A9', ['café']],
    ['/%F0%9F%98%80', ['😀']],
    ['/main...dev', ['main...dev']],
    ['/%u0041', ['%u0041']],
    ['//a', ['', 'a']],
    ['/constructor/__proto__', ['constructor', '__proto__']],
  ])('%s has these segments', (raw, segments) => {
    expect(readRequestTarget(raw, limits).segments).toEqual(segments)
  })

  it('keeps the bytes as they came, and reads nothing into the query', () => {
    const target = readRequestTarget('/a%2fb?x=%2F..%5c\\y?z', limits)
    expect([target.raw, target.segments]).toEqual(['/a%2fb?x=%2F..%5c\\y?z', ['a/b']])
  })

  it('reads a raw byte above ASCII as its percent-encoded form', () => {
    const raw = readRequestTarget('/caf\u00c3\u00a9/\u00e9', limits)
    expect(raw.segments).toEqual(readRequestTarget('/caf%C3%A9/%E9', limits).segments)
    expect(raw.segments).toEqual(['café', '\udce9'])
  })

  it('loses no byte that is not UTF-8, next to bytes that are', () => {
    expect(readRequestTarget('/%E9%C3%A9%F0%9F%98%ED%A0%80x', limits).segments).toEqual([
      '\udce9é\udcf0\udc9f\udc98\udced\udca0\udc80x',
    ])
  })

  it.each([
    ['no slash first', 'a/b'],
    ['empty', ''],
    ['a whole URL', 'http://example.com/a'],
    ['a host and port', 'example.com:443'],
    ['an asterisk', '*'],
    ['a fragment', '/a#b'],
    ['a fragment in the query', '/a?b#c'],
    ['a backslash', '/a\\b'],
    ['a space', '/a b'],
    ['a tab', '/a\tb'],
    ['DEL', '/a\x7f'],
    ['a line feed in the query', '/a?b\nc'],
    ['a character that is no byte', '/a\u0142'],
    ['half an escape', '/a%'],
    ['one digit of an escape', '/a%2'],
    ['an escape of other letters', '/a%zz'],
    ['an escape of other letters after a good one', '/a%41%4g'],
    ['half a %u escape', '/a%u00'],
    ['a %U escape', '/a%U0041'],
    ['an encoded NUL', '/a%00'],
    ['an encoded NUL before a suffix', '/admin%00.json'],
    ['an encoded line feed', '/a%0Ab'],
    ['an encoded DEL', '/a%7F'],
    ['an encoded C1 control', '/a%C2%85b'],
    ['a control encoded twice', '/a%2500'],
    ['a control encoded as %u', '/a%u000ab'],
    ['an overlong NUL', '/a%C0%80'],
    ['a dot segment', '/a/../b'],
    ['a dot segment at the end', '/a/..'],
    ['a single dot', '/a/./b'],
    ['a single dot at the end', '/a/.'],
    ['an encoded dot segment', '/a/%2e%2E/b'],
    ['a half encoded dot segment', '/a/.%2e/b'],
    ['three dots', '/a/.../b'],
    ['dots and a space', '/a/..%20/b'],
    ['a dot between spaces', '/a/%20.%20/b'],
  ])('refuses %s', (_, raw) => {
    expect(codeOf(raw)).toBe('invalid_target')
  })

  it('refuses a target that is longer than the listener accepts, by one', () => {
    expect(codeOf('/abc', 4)).toBeUndefined()
    expect(codeOf('/abcd', 4)).toBe('target_too_long')
    expect(codeOf('no slash', 4)).toBe('target_too_long')
  })

  it.each<[string, string]>([
    ['/a/b-c_d~e', ''],
    ['/a.b/v1.0', ''],
    ['/a%20b/%41%62', 'case'],
    ['/a/B', 'case'],
    ['/caf%C3%A9', 'case'],
    ['/100%25', ''],
    ['/a%2Fb', 'encoded_slash'],
    ['/a%5cb', 'encoded_slash'],
    ['/a//b', 'empty_segment'],
    ['/a;v=1', 'params'],
    ['/a%3bv=1', 'params'],
    ['/a/', 'trailing_slash'],
    ['/a./b', 'trailing_dot'],
    ['/a%20/b', 'trailing_dot'],
    ['/a%3Fb', 'encoded_delimiter'],
    ['/a%23b', 'encoded_delimiter'],
    ['/a%2561', 'double_encoding'],
    ['/a%u0061', 'double_encoding'],
    ['/%E9', 'case not_utf8'],
    ['/%EF%BD%81', 'case compatibility_form'],
    ['/e%CC%81', 'case compatibility_form'],
    ['/a%252Fb', 'case encoded_slash double_encoding'],
    ['/a%EF%BC%8Fb', 'case encoded_slash compatibility_form'],
  ])('%s is doubtful because of: %s', (raw, names) => {
    expect(doubtNames(readRequestTarget(raw, limits).doubts).join(' ')).toBe(names)
  })

  it('an escape under three others is refused, under two it is read', () => {
    expect(codeOf('/a%252561')).toBeUndefined()
    expect(codeOf('/a%25252561')).toBe('ambiguous_target')
  })

  it('follows so many readings, and fewer of a long path', () => {
    expect(codeOf(`/x${'//x'.repeat(20)}`)).toBeUndefined()
    expect(codeOf(`/x${'//x'.repeat(80)}`)).toBe('ambiguous_target')
    expect(codeOf(`/x${`//${'x'.repeat(350)}`.repeat(20)}`)).toBe('ambiguous_target')
  })

  it('gives up on a path with more readings than can be followed, without following them all', () => {
    for (const unit of ['%EF%BC%8F%FF/', ';%FF%C3%A9%2F//', '%C0%AE%FFa%EF%BC%8F;%2F%5C%3F%2541//']) {
      expect(codeOf(`/${unit.repeat(8000 / unit.length)}`)).toBe('ambiguous_target')
    }
  })
})
