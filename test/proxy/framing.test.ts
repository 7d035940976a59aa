import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readFraming } from '../../src/proxy/framing.ts'

const read = (rawHeaders: string[], httpVersion = '1.1') => readFraming({ rawHeaders, httpVersion })

test('a request says how long its body is in one of three ways', () => {
  expect(read(['Host', 'x'])).toEqual({ kind: 'none' })
  expect(read(['Content-Length', '0'])).toEqual({ kind: 'length', length: 0 })
  expect(read(['CONTENT-LENGTH', '42'], '1.0')).toEqual({ kind: 'length', length: 42 })
  expect(read(['Transfer-Encoding', 'Chunked'])).toEqual({ kind: 'chunked' })
})

// Node's parser refuses some of these before the gateway sees them; should it become more lenient, they are refused here.
test.each([
  [['Transfer-Encoding', 'chunked', 'Content-Length', '4'], 'invalid_framing'],
  [['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked'], 'invalid_framing'],
  [['Transfer-Encoding', 'chunked '], 'invalid_framing'],
  [['Transfer-Encoding', ''], 'invalid_framing'],
  [['Transfer_Encoding', 'chunked'], 'invalid_framing'],
  [['Content-Length', '4', 'content-length', '4'], 'duplicate_header'],
  [['Content-Length', '4,4'], 'invalid_framing'],
  [['Content-Length', ' 4'], 'invalid_framing'],
  [['Content-Length', '1e3'], 'invalid_framing'],
  [['Content-Length', '1234567890123456'], 'invalid_framing'],
])('%j is refused as %s, and the connection ends', (rawHeaders, code) => {
  expect(() => read(rawHeaders)).toThrow(
    expect.objectContaining({ code, options: expect.objectContaining({ closeConnection: true }) }),
  )
})

test('whatever the headers are, at most one of them says the length of what is accepted', () => {
  const name = fc.constantFrom(
    'Content-Length',
    'content-length',
    'Content_Length',
    'Transfer-Encoding',
    'transfer-encoding',
    'Transfer_Encoding',
    'X-Other',
  )
  const value = fc.oneof(
    fc.constantFrom('chunked', 'CHUNKED', 'chunked, chunked', 'gzip, chunked', 'identity', '5', '5, 5', '+5', '0'),
    fc.string(),
  )
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, value), { maxLength: 4 }),
      fc.constantFrom('1.0', '1.1'),
      (pairs, httpVersion) => {
        const saying = pairs.filter(([each]) => each !== 'X-Other')
        let framing: ReturnType<typeof readFraming> | undefined
        try {
          framing = read(pairs.flat(), httpVersion)
        } catch {
          return
        }
        expect(saying.length).toBe(framing.kind === 'none' ? 0 : 1)
        if (framing.kind === 'length') expect(saying[0]?.[1]).toMatch(/^\d+$/)
        if (framing.kind === 'chunked') expect([httpVersion, saying[0]?.[1].toLowerCase()]).toEqual(['1.1', 'chunked'])
      },
    ),
    { numRuns: 2000 },
  )
})
