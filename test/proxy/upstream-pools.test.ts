import { expect, test } from 'vitest'
import { upstreamOptions } from '../../src/proxy/route-options.ts'
import { createUpstream } from '../../src/proxy/upstream.ts'
import { createUpstreamPools } from '../../src/proxy/upstream-agents.ts'
import { testAuthority } from '../harness/certificates.ts'

const pools = createUpstreamPools()
const agentOf = (upstream: unknown) => createUpstream(upstreamOptions.parse(upstream), { pools }).kept.agent

test('routes to one origin share their connections, whatever paths they have there', () => {
  const agent = agentOf('https://api.example/orders')
  expect(agentOf({ url: 'https://api.example:443/', add_prefix: '/v2', timeouts: { idle: '3s' } })).toBe(agent)
})

test.each([
  ['another host', 'https://other.example'],
  ['another port', 'https://api.example:8443'],
  ['no TLS', 'http://api.example:443'],
  ['another name in the certificate', { url: 'https://api.example', tls: { server_name: 'else.example' } }],
  ['other authorities', { url: 'https://api.example', tls: { ca: testAuthority } }],
])('routes that differ in it do not: %s', (_, upstream) => {
  expect(agentOf(upstream)).not.toBe(agentOf('https://api.example'))
})
