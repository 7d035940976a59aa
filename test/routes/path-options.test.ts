import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { pathOptions } from '../../src/routes/path-options.ts'

const options = z.strictObject(pathOptions)

function faults(input: unknown): string[] {
  return (options.safeParse(input).error?.issues ?? []).map((issue) => `${issue.path.join('.')} ${issue.message}`)
}

describe('the path of a route', () => {
  it.each([
    '/',
    '/**',
    '/a',
    '/a/',
    '/a/**',
    '/a/*/b/**',
    '/caf%C3%A9',
    '/café',
    '/a%2Ab',
    '/v1/things:batch',
    '/@scope',
    '/a b',
    '/100%25',
  ])('%s is understood', (path) => {
    expect(faults({ path })).toEqual([])
  })

  it.each([
    ['a/b', 'must start with /; a host stands in its own key, host'],
    ['/a?b', 'has a query or fragment, which is never matched: leave it out, or write %3F or %23'],
    ['/a#b', 'has a query or fragment, which is never matched: leave it out, or write %3F or %23'],
    ['/a//b', 'has an empty segment: write one / where there are two'],
    ['//', 'has an empty segment: write one / where there are two'],
    ['/a//**', 'has an empty segment: write one / where there are two'],
    ['/a/**/b', 'has ** before its end: ** is only ever last; * stands for one segment'],
    ['/**/', 'has ** before its end: ** is only ever last; * stands for one segment'],
    ['/a*', 'mixes * with text in "a*": * stands for one whole segment, ** for the rest; a real asterisk is %2A'],
    ['/a/***', 'mixes * with text in "***": * stands for one whole segment, ** for the rest; a real asterisk is %2A'],
    ['/users/:id', 'has ":id", which would be taken literally: write * for one segment, or %3Aid'],
    ['/users/{id}', 'has "{id}", which would be taken literally: write * for one segment, or %7Bid%7D'],
    ['/a%', 'has malformed percent-encoding in "a%": a real % is %25'],
    ['/a%2Fb', 'has a slash or backslash inside "a%2Fb", which no server reads alike'],
    ['/a\\b', 'has a slash or backslash inside "a\\b", which no server reads alike'],
    ['/a/../b', 'has "..", a dot segment or a control character, which no request may have'],
    ['/a/%2e', 'has "%2e", a dot segment or a control character, which no request may have'],
    ['/a%00', 'has "a%00", a dot segment or a control character, which no request may have'],
    ['/%FF', 'has bytes in "%FF" that are not UTF-8'],
    ['/cafe\u0301', 'has "cafe\u0301" in a compatibility form: write "caf\u00e9"'],
  ])('%s is refused, with the remedy', (path, what) => {
    expect(faults({ path })).toEqual([`path is "${path}", and ${what}`])
  })

  it('must be given', () => {
    expect(faults({})).toEqual(['path is missing, and must be given'])
    expect(faults({ path: 7 })).toEqual(['path must be text, and is a number'])
  })
})

describe('the other keys that say which requests a route owns', () => {
  it('hosts, methods and doubts are understood', () => {
    const given = { path: '/a', host: '*.example.com', methods: ['GET', 'PROPFIND'], allow_in_path: ['params', 'case'] }
    expect(options.parse(given)).toEqual(given)
  })

  it.each([
    [{ methods: ['get'] }, 'methods.0 is "get", and methods are in upper case: write GET'],
    [
      { methods: ['GETT'] },
      'methods.0 is "GETT", and must be a method of HTTP such as GET, POST, PUT, PATCH or DELETE',
    ],
    [
      { methods: ['CONNECT'] },
      'methods.0 is "CONNECT", and must be a method of HTTP such as GET, POST, PUT, PATCH or DELETE',
    ],
    [{ methods: [] }, 'methods is an empty list: name at least one, or remove the key'],
    [{ allow_in_path: [] }, 'allow_in_path is an empty list: name at least one, or remove the key'],
    [{ host: 'a:1' }, 'host is "a:1", and has a port, which is never compared: write a'],
  ])('%j is refused', (input, fault) => {
    expect(faults({ path: '/a', ...input })).toEqual([fault])
  })

  it('an editor learns the words', () => {
    const schema = JSON.stringify(z.toJSONSchema(options, { io: 'input', unrepresentable: 'any' }))
    for (const word of ['"PATCH"', '"double_encoding"', '"path":{"type":"string"']) expect(schema).toContain(word)
    expect(schema).not.toContain('CONNECT')
  })
})
