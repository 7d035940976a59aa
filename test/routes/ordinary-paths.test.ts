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
  // GitHub
  '/repos/octocat/Hello-World',
  '/repos/octocat/Hello-World/git/refs/heads/feature%2Fbranch',
  '/repos/octocat/Hello-World/contents/docs/READ%20ME.md',
  '/repos/octocat/hello.github.io/pages',
  '/repos/o/r/compare/v1.0.0...feature%2Fx',
  '/repos/o/r/commits?sha=main&per_page=100',
  '/search/code?q=addClass+in:file+language:js+repo:jquery/jquery',
  '/gists/aa5a315d61ae9438b18d',
  '/repos/o/r/issues/1347/labels/good%20first%20issue',
  '/users/octocat/repos?type=all',
  '/repos/o/r/actions/workflows/ci.yml/runs',
  // GitLab
  '/api/v4/projects/diaspora%2Fdiaspora',
  '/api/v4/projects/group%2Fsub%2Fproject/repository/files/app%2Fmodels%2Fkey.rb/raw?ref=main',
  '/api/v4/projects/1/repository/branches/feature%2F42',
  '/api/v4/groups/a%2Fb/members/all',
  '/api/v4/projects/1/packages/generic/pkg/0.0.1/file.tar.gz',
  '/api/v4/projects/1/wikis/Home%2FPage',
  '/api/v4/projects/1/jobs/artifacts/main/raw/dir%2Ffile.html?job=x',
  // S3
  '/bucket/Photos/2026/January/sample.JPG',
  '/bucket/a%2Bb%3Dc.txt',
  '/bucket/key%20with%20spaces',
  '/bucket/prefix//double',
  '/bucket/folder/',
  '/bucket?list-type=2&prefix=a%2F&delimiter=%2F',
  '/bucket/%E3%83%86%E3%82%B9%E3%83%88.txt',
  '/bucket/my-image.jpg?versionId=3HL4kqCxf3vjVBH40Nrjfkd',
  '/bucket/a@b,c:d;e',
  '/bucket/100%25/50%25',
  // Kubernetes
  '/api/v1/namespaces/kube-system/pods/coredns-5d78c9869d-abcde/log?follow=true',
  '/apis/apps/v1/deployments',
  '/apis/rbac.authorization.k8s.io/v1/clusterroles/system:controller:job-controller',
  '/api/v1/namespaces/default/services/https:web:8443/proxy/',
  '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com',
  '/api/v1/nodes/node-1.eu-west-1.compute.internal/proxy/metrics',
  '/openapi/v2',
  // Jira
  '/rest/api/3/issue/PROJ-123',
  '/rest/api/3/search?jql=project%20%3D%20HSP%20AND%20status%3D%22In%20Progress%22',
  '/rest/agile/1.0/board/84/sprint',
  '/rest/api/3/user/properties/x.y:z',
  '/browse/PROJ-1',
  '/secure/attachment/10000/Screen%20Shot%202026-01-01%20at%2010.00.00.png',
  // Maven
  '/maven2/org/apache/commons/commons-lang3/3.14.0/commons-lang3-3.14.0.jar',
  '/maven2/com/example/artifact/1.0-SNAPSHOT/maven-metadata.xml',
  '/maven2/org/scala-lang/scala3-library_3/3.4.0/scala3-library_3-3.4.0.jar.sha1',
  '/repository/releases/g/a/1.0+build.5/a-1.0+build.5.jar',
  // npm
  '/@angular%2fcore',
  '/@types%2Fnode',
  '/@babel/core/-/core-7.24.0.tgz',
  '/-/v1/search?text=keywords:oauth',
  '/-/package/@scope%2Fpkg/dist-tags/latest',
  '/left-pad/1.3.0',
  // OData
  "/odata/v4/People('russellwhyte')/Trips(0)/Microsoft.OData.SampleService.GetInvolvedPeople()",
  '/odata/Products(1)/Category/$ref',
  "/odata/Customers?$filter=Name%20eq%20'O''Neil'&$top=5",
  "/odata/People(FirstName='A',LastName='B')",
  "/odata/Orders(guid'6f9619ff-8b86-d011-b42d-00c04fc964ff')",
  '/odata/$batch',
  '/odata/Things(2026-01-01T00:00:00Z)',
  // Google
  '/v1/projects/p/locations/global/keyRings/r/cryptoKeys/k:encrypt',
  '/v1/%7Bname=operations%7D',
  '/storage/v1/b/bucket/o/folder%2Fobject.txt?alt=media',
  '/youtube/v3/videos?part=snippet,statistics&id=a_B-c',
  '/calendar/v3/calendars/team%40group.calendar.google.com/events',
  '/v1/documents:batchWrite',
  '/v4/spreadsheets/1a_B/values/Sheet1!A1:D5',
  "/v4/spreadsheets/1a_B/values/'My%20Sheet'!A:A",
  // Azure and Microsoft
  '/v1.0/me/drive/root:/Documents/File.docx:/content',
  '/v1.0/users/someone@example.com/messages',
  '/v1.0/users/a%23EXT%23@example.onmicrosoft.com',
  '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/MyGroup/providers/Microsoft.Web/sites/App?api-version=2022-03-01',
  "/_api/web/lists/getbytitle('Shared%20Documents')/items",
  "/sites/contoso/_api/web/GetFolderByServerRelativeUrl('/sites/contoso/Docs')/Files",
  // Elasticsearch and databases
  '/my-index-000001/_doc/1',
  '/_cat/indices/logs-*?v',
  '/logs-2026.11.21,logs-2026.11.20/_search',
  '/%3Clogstash-%7Bnow%2Fd%7D%3E/_search',
  '/db/_design/app/_view/by%20date',
  '/db/doc%2Fwith%2Fslashes',
  '/db/_all_docs?startkey=%22a%22',
  '/graphql',
  '/collections/items/_aggrs/total?avars=%7B%22a%22%3A1%7D',
  // FHIR and health
  '/fhir/Patient/f001',
  '/fhir/Patient/$everything',
  '/fhir/Observation?code=http://loinc.org%7C8867-4',
  '/fhir/Patient/1/_history/2',
  '/fhir/ValueSet/$expand?url=http%3A%2F%2Fhl7.org%2Ffhir',
  '/fhir/metadata',
  // Container registries
  '/v2/library/nginx/manifests/latest',
  '/v2/library/nginx/blobs/sha256:6b8ad6b1a1d1c0d6f2b6c2e1d6c5a6e1',
  '/v2/_catalog?n=100',
  '/v2/my/deep/repo.name_x/tags/list',
  '/v2/library/nginx/blobs/uploads/?digest=sha256%3Aabc',
  // Payments and shops
  '/v1/charges/ch_3MmlLrLkdIwHu7ix0snN0B15',
  '/v1/customers/cus_NffrFeUfNV2Hib/sources',
  '/admin-api/2024-01/products/632910392.json',
  '/v2/checkout/orders/5O190127TN364715T',
  '/products/blue-t-shirt-size-xl',
  '/catalog/SKU%2F12-B/price',
  '/prices/EUR/1,299.00',
  '/cart/items/12;qty=2',
  // Names of people and places
  '/people/Bj%C3%B6rk',
  '/people/Ren%C3%A9e%20Fleming',
  '/people/%D0%98%D0%B2%D0%B0%D0%BD',
  '/people/%E5%B1%B1%E7%94%B0%E5%A4%AA%E9%83%8E',
  '/people/Jos%C3%A9-Luis',
  "/people/Mc'Donald",
  '/people/%C3%86r%C3%B8',
  '/cities/S%C3%A3o%20Paulo',
  '/cities/Z%C3%BCrich',
  '/cities/%C4%B0stanbul',
  '/cities/St.%20Gallen',
  '/cities/K%C3%B8benhavn/stra%C3%9Fen',
  // Times, numbers and ids
  '/events/2026-11-21',
  '/events/2026-11-21T09:55:27+01:00',
  '/events/2026-11-21T09:55:27.123Z/',
  '/periods/2026-W47',
  '/periods/P1DT12H',
  '/isbn/978-3-16-148410-0',
  '/doi/10.1000/xyz123',
  '/doi/10.1000%2Fxyz123',
  '/phones/+41791234567',
  '/phones/%2B41791234567',
  '/ids/urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
  '/ids/01ARZ3NDEKTSV4RRFFQ69G5FAV',
  '/hashes/d41d8cd98f00b204e9800998ecf8427e',
  '/geo/geo:37.786971,-122.399677',
  '/amounts/-12.50',
  '/versions/1.0.0-rc.1+build.5',
  '/range/1..10',
  '/ratio/3%3A2',
  // Files and pages
  '/index.html',
  '/static/css/main.3f2a1b.chunk.css',
  '/downloads/Report%20Q3%20(final).pdf',
  '/downloads/a&b.txt',
  '/downloads/it%27s.txt',
  '/images/logo@2x.png',
  '/.well-known/acme-challenge/abc_DEF-123',
  '/wiki/C%2B%2B',
  '/wiki/AC%2FDC',
  '/wiki/Who%27s_Afraid%3F',
  '/wiki/%C3%89tat',
  '/blog/2026/11/hello-world/',
  '/docs/v2/~alice/notes',
  '/tags/%23golang',
  '/emoji/%F0%9F%91%8D%F0%9F%8F%BD',
  '/a/b/c/d/e/f/g/h/i/j/k/l',
  '/sitemap.xml.gz',
  '/favicon.ico',
  // Encoded values
  '/redirect/https%3A%2F%2Fexample.com%2Fpath%3Fa%3D1',
  '/tokens/eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln',
  '/b64/YWJjZA==',
  '/b64/YWJj%2FZA%3D%3D',
  '/query/a%3D1%26b%3D2',
  '/mail/somebody+tag@example.com',
  '/mail/%22quoted%22@example.com',
  '/json/%5B1%2C2%5D',
  '/regex/%5Ea.*b%24',
  '/template/%7B%7Bname%7D%7D',
  '/pipes/a%7Cb',
  '/caret/a%5Eb',
  '/tick/%60a%60',
  // Matrix parameters and RPC
  '/cars;brand=audi/models;year=2020',
  '/map;lat=1;lon=2',
  '/session;jsessionid=ABC123',
  '/twirp/example.haberdasher.v1.Haberdasher/MakeHat',
  '/grpc.health.v1.Health/Check',
  '/xmlrpc.php',
  '/soap/CustomerService?wsdl',
  '/rpc/eth_getBalance',
  '/cgi-bin/show.pl?id=7',
  '/v1:search',
  '/tasks/7:cancel',
]

it('the ordinary paths are many', () => expect(new Set(ordinary).size).toBeGreaterThan(200))

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
