import { Socket } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { callersOptions, createCallers } from '../../src/ingress/callers.ts'
import { verifiedCertificate } from '../../src/ingress/certificate-callers.ts'
import { parseDistinguishedName, subjectName } from '../../src/ingress/distinguished-name.ts'
import { callerX509 } from '../harness/caller-certificates.ts'
import { createTestClock } from '../harness/clock.ts'

const names = {
  subjects: ['CN=billing,O=Example'],
  dns_names: ['billing.example.test'],
  uris: ['spiffe://example.test/billing'],
}

function listedBy(certificates: object, caller: string): string | undefined {
  const callers = createCallers(callersOptions.parse({ certificates }))
  try {
    return callers.check({ address: '192.0.2.1', certificate: callerX509(caller) })
  } catch (error) {
    expect(error).toMatchObject({ code: 'caller_not_allowed', status: 403 })
    return undefined
  }
}

describe('a client certificate', () => {
  test.each([
    [{ subjects: names.subjects }, 'billing', 'subject CN=billing,O=Example'],
    [{ dns_names: names.dns_names }, 'billing', 'dns billing.example.test'],
    [{ uris: names.uris }, 'billing', 'uri spiffe://example.test/billing'],
    [{ subjects: ['cn = billing ,  O=Ex\\61mple'] }, 'billing', 'subject CN=billing,O=Example'],
    [{ dns_names: ['reports.example.test'] }, 'reports', 'dns reports.example.test'],
    [{ dns_names: ['REPORTS.example.TEST'] }, 'reports', 'dns reports.example.test'],
    [{ dns_names: ['*.example.test'] }, 'wildcard', 'dns *.example.test'],
    [{ subjects: ['CN=other'], dns_names: ['a.test'], uris: names.uris }, 'billing', `uri ${names.uris[0]}`],
    // As openssl prints it.
    [
      { subjects: ['CN=\\#1\\ ,OU=a=b\\;#c,O=Example\\, Inc. \\+ \\"S\\C3\\B6hne\\" \\<x\\>,DC=test'] },
      'spelled-out',
      expect.stringContaining('DC=test'),
    ],
    [{ subjects: ['O=Example+CN=billing'] }, 'parts-as-one', 'subject CN=billing+O=Example'],
    [{ subjects: ['CN=billing + O=Example'] }, 'parts-as-one', 'subject CN=billing+O=Example'],
    [{ subjects: ['O=Example,CN=billing'] }, 'parts-reversed', 'subject O=Example,CN=billing'],
    [{ subjects: ['CN=billing\\,O\\=Example'] }, 'comma-in-subject', 'subject CN=billing\\2CO\\3DExample'],
    [
      { subjects: ['CN=\\#1\\ ,OU=a=b\\;#c,O=Example\\, Inc. \\+ \\"Söhne\\" \\<x\\>,DC=test'] },
      'spelled-out',
      expect.stringContaining('DC=test'),
    ],
  ])('listed as %j lets %s in', (certificates, caller, name) => {
    expect(listedBy(certificates, caller)).toEqual(name)
  })

  test.each([
    'name-in-subject',
    'uri-in-subject',
    'wildcard',
    'subdomain',
    'other-kinds',
    'comma-in-name',
    'quote-in-name',
    'nul-in-name',
    'newline-in-name',
    'newline-in-subject',
    'comma-in-subject',
    'comma-behind-subject',
    'plus-in-subject',
    'backslash-in-subject',
    'parts-as-one',
    'parts-reversed',
    'longer-subject',
    'shorter-subject',
    'other-case',
    'blank-behind',
  ])('of somebody else does not let in: %s', (caller) => expect(listedBy(names, caller)).toBeUndefined())

  test('must be there, and in force at the very moment', () => {
    const valid = Date.parse(callerX509('billing').validTo)
    const at = (now: number) => createCallers(callersOptions.parse({ certificates: names }), createTestClock(now))
    const certificate = callerX509('billing')
    expect(() => at(valid - 1).check({ address: undefined, certificate })).not.toThrow()
    expect(() => at(valid).check({ address: undefined, certificate })).toThrow('has expired')
    expect(() => at(valid - 1).check({ address: '127.0.0.1' })).toThrow('no client certificate')
  })

  test('beside networks must come from them too', () => {
    const callers = createCallers(callersOptions.parse({ networks: ['10.0.0.0/8'], certificates: names }))
    const certificate = callerX509('billing')
    expect(callers.check({ address: '10.0.0.1', certificate })).toBe('subject CN=billing,O=Example')
    expect(() => callers.check({ address: '192.0.2.1', certificate })).toThrow('in none of the networks')
    expect(() => callers.check({ address: '10.0.0.1' })).toThrow('no client certificate')
    expect(() => callers.check({ address: '10.0.0.1', certificate: callerX509('reports') })).toThrow('none of those')
  })
})

describe('the certificate of a connection', () => {
  function connection(authorized: boolean) {
    let reads = 0
    const getPeerX509Certificate = () => {
      reads++
      return callerX509('billing')
    }
    return { socket: Object.assign(new Socket(), { authorized, getPeerX509Certificate }), reads: () => reads }
  }

  test('is read once, and only if it was verified', () => {
    const good = connection(true)
    const first = verifiedCertificate(good.socket)
    expect(first?.subject).toContain('billing')
    expect(verifiedCertificate(good.socket)).toBe(first)
    expect(good.reads()).toBe(1)
    good.socket.authorized = false
    expect(verifiedCertificate(good.socket)).toBeUndefined()
    const forged = connection(false)
    expect(verifiedCertificate(forged.socket)).toBeUndefined()
    expect(forged.reads()).toBe(0)
  })

  test('is not read where a route asks for none', () => {
    const near = createCallers(callersOptions.parse({ networks: ['loopback'] }))
    const caller = {
      address: '127.0.0.1',
      get certificate() {
        return expect.unreachable('the certificate was read')
      },
    }
    expect(near.check(caller)).toBeUndefined()
  })
})

describe('the names of certificates', () => {
  for (const written of [
    {},
    { subjects: [] },
    { dns_names: [] },
    { uris: null },
    { subjects: [''] },
    { subjects: ['billing'] },
    { subjects: ['CN='] },
    { subjects: ['CN=a,'] },
    { subjects: ['CN=a,O'] },
    { subjects: ['CN=a;O=b'] },
    { subjects: ['CN="a"'] },
    { subjects: ['CN=#04024869'] },
    { subjects: ['/CN=billing/O=Example'] },
    { subjects: ['subject=CN=billing,O=Example'] },
    { subjects: ['CN=a\nO=b', 'CN='] },
    { dns_names: ['a.*.test'] },
    { dns_names: ['*'] },
    { dns_names: ['a, b'] },
    { dns_names: ['spiffe://a/b'] },
    { dns_names: ['müller.test'] },
    { uris: ['example.test/billing'] },
    { uris: ['spiffe://example.test/*'] },
    { uris: ['spiffe://example.test/a b'] },
    { names: ['a'] },
  ]) {
    test(`cannot be ${JSON.stringify(written)}`, () =>
      expect(callersOptions.safeParse({ certificates: written }).success).toBe(false))
  }

  test('are the same only if they are, however their values are escaped', () => {
    const value = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => text.isWellFormed())
    const escaped = (text: string) =>
      [...Buffer.from(text)].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('')
    const plain = (text: string) =>
      text.replace(/[\\",+<>;=]|^[ #]| $/g, (char) => `\\${char}`).replace(/^\\?\n/g, '\\0a')
    fc.assert(
      fc.property(value, value, value, (one, other, third) => {
        const write = (each: (text: string) => string) => `CN=${each(one)}+OU=${each(other)},O=${each(third)}`
        const name = parseDistinguishedName(write(escaped))
        expect(name).toBeDefined()
        expect(parseDistinguishedName(write(plain))).toBe(name)
        expect(parseDistinguishedName(name ?? '')).toBe(name)
        // Of a value alone nobody makes a name of several parts.
        const single = parseDistinguishedName(`CN=${escaped(`${one},O=${third}`)}`)
        expect(single).not.toBe(parseDistinguishedName(`CN=${escaped(one)},O=${escaped(third)}`))
      }),
      { numRuns: 1000 },
    )
  })

  test.each([
    ['2.5.4.3=a,2.5.4.10=b', 'O=b\nCN=a'],
    ['CN=\\20a\\20', 'CN=\\ a\\ '],
    ['commonName=a,organizationName=b', 'O=b\nCN=a'],
    ['E=a@b.test', 'emailAddress=a@b.test'],
    ['1.2.840.113549.1.9.1=a@b.test', 'emailAddress=a@b.test'],
    ['EMAIL=a@b.test+S=Bern', 'ST=Bern+emailAddress=a@b.test'],
    ['0.9.2342.19200300.100.1.1=u,domainComponent=test', 'DC=test\nUID=u'],
    ['G=a,surname=b,T=c,street=d', 'street=d\ntitle=c\nSN=b\nGN=a'],
    // What OpenSSL has no name for.
    ['CN=a,1.2.3.4.5=abc', '1.2.3.4.5=abc\nCN=a'],
  ])('may have attributes by other names, and by number: %s', (written, subject) => {
    expect(parseDistinguishedName(written)).toBeDefined()
    expect(parseDistinguishedName(written)).toBe(subjectName(subject))
  })

  test('tell attributes apart that only resemble each other', () => {
    const all = ['CN=a', 'SN=a', 'serialNumber=a', 'O=a', 'OU=a', 'UID=a', 'E=a', 'dnQualifier=a', '2.5.4.99=a']
    expect(new Set(all.map(parseDistinguishedName)).size).toBe(all.length)
  })

  test('are none where a subject cannot be read', () => {
    for (const subject of [undefined, '', 'CN=a\nb', 'CN="a', 'CN=a\\', '=a']) {
      expect(subjectName(subject) || undefined).toBeUndefined()
    }
  })
})
