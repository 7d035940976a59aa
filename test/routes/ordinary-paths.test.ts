import { describe, expect, it } from 'vitest'
import { askWith, routesFor } from './ask.ts'

/** Paths as real APIs have them. */
const ordinary = [
  '/',
  '/customers',
  '/customers/',
  '/customers/4711',
  '/customers/4711/',
  '/customers?page=2&sort=-name',
  '/customers/4711?expand=orders%2Fitems',
  '/customers/6F9619FF-8B86-D011-B42D-00C04FC964FF',
  '/customers/6f9619ff-8b86-d011-b42d-00c04fc964ff/Orders',
  '/api/v1.0/Things',
  '/api/v2/things:batchGet',
  '/v1/projects/my-project/topics/my.topic:publish',
  '/odata/$metadata',
  "/odata/Products('A')/Name",
  '/odata/Products(1)',
  '/odata/Products(Key=%27A%27)/$count',
  "/people/O'Brien",
  '/people/O%27Brien',
  '/tags/a,b',
  '/tags/a+b',
  '/tags/a%2Bb',
  '/tags/c%2B%2B',
  '/tags/a%20b',
  '/tags/%23hash',
  '/tags/what%3F',
  '/discounts/100%25',
  '/discounts/50%25-off',
  '/search/a%2526b',
  '/repos/octo/hello/compare/main...dev',
  '/repos/octo/hello/compare/v1.0..v1.1',
  '/repos/octo/hello/contents/src%2Findex.ts',
  '/projects/group%2Fname',
  '/projects/group%2Fsub%2Fname/issues',
  '/projects/group%2fname/repository/files/src%2Fmain%2Ets',
  '/@scope%2Fname',
  '/@scope/name/-/name-1.0.0.tgz',
  '/packages/@angular%2Fcore/latest',
  '/files/report.PDF',
  '/files/.well-known',
  '/.well-known/openid-configuration',
  '/files/README',
  '/files/a.b.c.tar.gz',
  '/files/..hidden',
  '/files/~user',
  '/files/-',
  '/files/_search',
  '/files/caf%C3%A9',
  '/files/stra%C3%9Fe',
  '/files/%E6%9D%B1%E4%BA%AC',
  '/files/%F0%9F%98%80.png',
  '/files/caf%E9',
  '/files/cafe%CC%81',
  '/files/caf\u00c3\u00a9',
  '/cars;color=red;year=2012',
  '/cars;color=red/doors;count=4',
  '/maps/47.3769,8.5417;u=35',
  '/matrix/a;v=1/b;v=2/c',
  '/proxy/https://example.com/a',
  '/proxy/https%3A%2F%2Fexample.com%2Fa',
  '/callback/%257Bid%257D',
  '/a//b',
  '/emails/somebody%40example.com',
  '/emails/somebody@example.com',
  '/time/12:30:00',
  '/time/2026-11-21T09:55:27Z',
  '/base64/SGVsbG8=',
  '/base64/SGVsbG8%3D',
  '/json/%7B%22a%22%3A1%7D',
  '/list/[1]',
  '/list/%5B1%5D',
  '/users/me!',
  '/users/*',
  '/graphql?query={a(b:"c"){d}}',
]

describe('ordinary paths pass', () => {
  const everything = askWith(routesFor({ '/**': 'anybody' }))
  const alike = askWith(
    routesFor({
      '/**': 'anybody',
      '/customers': 'anybody',
      '/customers/*': 'anybody',
      '/projects/**': 'anybody',
      '/files/*': 'anybody',
      '/*': 'anybody',
    }),
  )
  const apart = askWith(
    routesFor({ '/**': 'anybody', '/admin/**': 'admin', '/internal/*/secrets': 'admin', '/Hidden': 'admin' }),
  )
  const prefixed = askWith(routesFor({ '/api/**': 'anybody', '/admin/**': 'admin' }))

  it.each(ordinary)('%s where one route takes everything', (target) => {
    expect(everything(target)).toBe('/**')
  })

  it.each(ordinary)('%s where all routes admit alike', (target) => {
    expect(alike(target)).toMatch(/^\//)
  })

  it.each(ordinary)('%s beside routes that it has nothing to do with', (target) => {
    expect(apart(target)).toBe('/**')
  })

  it.each(ordinary)('/api%s under a prefix of its own', (target) => {
    expect(prefixed(`/api${target}`)).toBe('/api/**')
  })
})

describe('a slash inside a name', () => {
  const ask = askWith(
    routesFor({ '/projects/*': 'member', '/projects/*/issues': 'member', '/projects/*/admin': 'owner' }),
  )

  it('is part of the segment that * stands for', () => {
    expect(ask('/projects/group%2Fname')).toBe('/projects/*')
    expect(ask('/projects/Group%2FName')).toBe('/projects/*')
    expect(ask('/projects/group%2Fname/issues')).toBe('/projects/*/issues')
  })

  it('is refused where it leads to a route that admits others, letter case apart', () => {
    expect(ask('/projects/group%2Fadmin')).toBe('400 ambiguous_target')
    expect(ask('/projects/Group%2FADMIN')).toBe('400 ambiguous_target')
  })

  it('is refused with another doubt beside it, or as a backslash', () => {
    expect(ask('/projects/group%2F%2Fname')).toBe('400 ambiguous_target')
    expect(ask('/projects/group%5Cname')).toBe('400 ambiguous_target')
  })

  it('is refused where the other reading is a method that nobody takes', () => {
    const get = askWith([
      ...routesFor({ '/projects/*': 'member' }),
      { path: '/projects/*/issues', methods: ['GET'], admission: 'member' },
    ])
    expect(get('/projects/group%2Fissues')).toBe('/projects/*')
    expect(get('/projects/group%2Fissues', { method: 'DELETE' })).toBe('400 ambiguous_target')
  })
})
