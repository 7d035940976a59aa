/**
 * A good token whose scope is not enough, of somebody who may choose the names of scopes, roles or clients at their server,
 * or who writes what their server copies into a claim. They look for a name that a careless comparison takes for the one
 * that is required: its beginning, its end, another case, a separator that only one side knows; a claim of another type, in
 * which the name is somewhere; another claim of which somebody once made a scope.
 */
import { describe, test } from 'vitest'
import { createRawToken, createSigningKey, createToken, type Members } from '../harness/tokens.ts'
import { parts } from '../ingress/verifier.ts'
import { guardTokens, refusals, scopeLacking } from './token-gate.ts'

const key = createSigningKey('ES256')
const role = { 'realm_access.roles': ['archivist'], level: ['2'] }
const gate = guardTokens({
  servers: [{ keys: [key] }],
  key,
  routes: [
    { path: '/admin/**', require: { scopes: ['admin.read', 'admin.write'] } },
    { path: '/either/**', require: { any_scope: ['a.read', 'b.read'] } },
    { path: '/roles/**', require: { claims: role } },
    { path: '/listed/**', require: { claims: { 'a.b["c.d"]': 'yes' } } },
  ],
})

const lacks = /the scope lacks customer.read/
const refused = scopeLacking('customer.read')
const token = (claims: Members) => createToken(key, parts({ claims }))

const scopes: Record<string, unknown> = {
  'no letters': '',
  null: null,
  'its beginning': 'customer',
  'its end': 'read',
  'more behind it': 'customer.readx',
  'more before it': 'xcustomer.read',
  'readwrite for read': 'customer.readwrite',
  'a point behind it': 'customer.read.',
  'any letter for its point': 'customer-read',
  capitals: 'CUSTOMER.READ',
  'one capital': 'Customer.read',
  'an asterisk': '*',
  'an asterisk for its end': 'customer.*',
  'a pattern': 'customer\\.read|x',
  'a comma between several': 'customer.read,customer.write',
  'a semicolon between several': 'customer.read;customer.write',
  'a plus between several': 'customer.read+customer.write',
  'a line break between several': 'customer.write\ncustomer.read',
  'a tab between several': 'customer.write\tcustomer.read',
  'a carriage return between several': 'customer.write\rcustomer.read',
  'a NUL between several': 'customer.write\u0000customer.read',
  'a NUL behind it': 'customer.read\u0000',
  'a blank of another kind between several': 'customer.write\u00a0customer.read',
  'a wide blank between several': 'customer.write\u3000customer.read',
  'a line separator between several': 'customer.write\u2028customer.read',
  'quotes around it': '"customer.read"',
  'a list, as text': '["customer.read"]',
  'percent-encoding': 'customer%2Eread',
  'letters of another alphabet': 'сustomer.read',
  'letters of another width': 'ｃustomer.read',
  'a mark that joins nothing': 'customer.\u200bread',
  'a byte order mark before it': '\ufeffcustomer.read',
  'an exclusion': '-customer.read',
  'a number': 1,
  true: true,
  'an object with its name': { 'customer.read': true },
  'an object that looks like a list': { 0: 'customer.read', length: 1 },
  'an object that turns into text': { toString: 'customer.read' },
  'a list in a list': [['customer.read']],
  'a list of objects': [{ name: 'customer.read' }],
  'a list with both in one text': ['customer.write customer.read'],
  'a list with a blank before it': [' customer.read'],
  'a list with a NUL behind it': ['customer.read\u0000'],
  'an empty list': [],
  'a list of no letters': [''],
  'a list of null': [null],
}

describe('a scope that is not the required one, letter for letter, opens nothing', () => {
  for (const [name, scope] of Object.entries(scopes)) {
    test(name, () => gate.refuses(token({ scope }), lacks, refused))
  }
})

const elsewhere: Record<string, Members> = {
  'no scope at all': { scope: undefined },
  'in scopes': { scope: undefined, scopes: ['customer.read'] },
  'in Scope': { scope: undefined, Scope: 'customer.read' },
  'in permissions': { scope: undefined, permissions: ['customer.read'] },
  'in roles': { scope: undefined, roles: ['customer.read'] },
  'in authorities': { scope: undefined, authorities: ['customer.read', 'SCOPE_customer.read'] },
  'in realm_access.roles': { scope: undefined, realm_access: { roles: ['customer.read'] } },
  'in resource_access': { scope: undefined, resource_access: { api: { roles: ['customer.read'] } } },
  'in the name of the client': { scope: 'x', client_id: 'x customer.read', azp: 'customer.read' },
  'in the subject': { scope: 'x', sub: 'customer.read' },
  'in the audience of a list': { scope: 'x', aud: ['https://api.example.test', 'customer.read'] },
  'in scp, while scope says less': { scope: 'x', scp: ['customer.read'] },
  'in scp, while scope says nothing': { scope: '', scp: ['customer.read'] },
  'in scp, while scope is null': { scope: null, scp: 'customer.read' },
  'in scp, while scope is of the wrong type': { scope: { a: 1 }, scp: 'customer.read' },
  'in an object called scope': { scope: { scope: 'customer.read', scp: 'customer.read' } },
  'in an object called scp': { scope: undefined, scp: { values: ['customer.read'] } },
}

describe('a scope that stands elsewhere is none', () => {
  for (const [name, claims] of Object.entries(elsewhere)) {
    test(name, () => gate.refuses(token(claims), lacks, refused))
  }
  test('in what an object inherits', () => {
    const payload = JSON.stringify(parts({ claims: { scope: undefined } }).claims)
    const proto = `${payload.slice(0, -1)},"__proto__":{"scope":"customer.read","scp":"customer.read"}}`
    return gate.refuses(createRawToken(key, '{"alg":"ES256","kid":"ES256"}', proto), lacks, refused)
  })
})

describe('some of what is required is not enough', () => {
  const both = scopeLacking('admin.read admin.write')
  test('one of two', () => gate.refuses(token({ scope: 'admin.read' }), /lacks admin.write/, both, '/admin/a'))
  test('one of two, twice', () =>
    gate.refuses(token({ scope: 'admin.read admin.read' }), /lacks admin.write/, both, '/admin/b'))
  test('`admin.readx` and `admin.writex`', () =>
    gate.refuses(token({ scope: 'admin.readx admin.writex' }), /lacks admin.read admin.write/, both, '/admin/c'))
  test('none of several, of which one would do', () =>
    gate.refuses(token({ scope: 'a.readx ab.read A.READ' }), /none of a.read b.read/, scopeLacking(), '/either/a'))
  test('several of which one would do, joined otherwise', () =>
    gate.refuses(token({ scope: 'a.read,b.read' }), /none of a.read b.read/, scopeLacking(), '/either/b'))
  test('and what is enough passes', async () => {
    await gate.passes(token({ scope: 'x customer.read y' }))
    await gate.passes(token({ scope: undefined, scp: ['x', 'customer.read'] }))
    await gate.passes(token({ scope: 'admin.write admin.read' }), '/admin/ok')
    await gate.passes(token({ scope: ['b.read'] }), '/either/ok')
  })
})

const roles = (value: unknown): Members => ({ realm_access: { roles: value }, level: '2' })
const claims: Record<string, Members> = {
  'no such claim': {},
  'a value with more behind it': roles(['archivistx']),
  'a value with a blank behind it': roles('archivist '),
  'a value in capitals': roles('ARCHIVIST'),
  'several values in one text': roles('reader archivist'),
  'several values with commas': roles('reader,archivist'),
  'a list in a list': roles([['archivist']]),
  'an object with its name': roles({ archivist: true }),
  'a list of objects': roles([{ name: 'archivist' }]),
  null: roles(null),
  true: roles(true),
  'a claim whose name is the whole path': { 'realm_access.roles': ['archivist'], level: '2' },
  'a list on the way': { realm_access: [{ roles: ['archivist'] }], level: '2' },
  'a text on the way': { realm_access: 'roles', level: '2' },
  'one of two claims': { realm_access: { roles: ['archivist'] } },
  'a number for the other': { realm_access: { roles: ['archivist'] }, level: 2 },
  'a number in a list for the other': { realm_access: { roles: ['archivist'] }, level: [2] },
}

describe('a claim that does not hold the required value opens nothing', () => {
  for (const [name, given] of Object.entries(claims)) {
    test(name, () => gate.refuses(token(given), /the claim .* holds none/, refusals.claimRequired, '/roles/a'))
  }
  const listed: Record<string, Members> = {
    'a name with a point read as two': { a: { b: { c: { d: 'yes' } } } },
    'the path as one name': { 'a.b["c.d"]': 'yes', 'a.b.c.d': 'yes' },
    'half of the path as one name': { 'a.b': { 'c.d': 'yes' } },
  }
  for (const [name, given] of Object.entries(listed)) {
    test(name, () => gate.refuses(token(given), /the claim .* holds none/, refusals.claimRequired, '/listed/a'))
  }
  test('and the required value passes', async () => {
    await gate.passes(token({ realm_access: { roles: ['reader', 'archivist'] }, level: '2' }), '/roles/ok')
    await gate.passes(token({ a: { b: { 'c.d': ['yes'] } } }), '/listed/ok')
  })
})
