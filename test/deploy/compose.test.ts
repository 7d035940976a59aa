import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../../src/index.ts'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const realm = JSON.parse(read('deploy/keycloak/sivalabs-realm.json'))
const gateway = parse(read('deploy/compose/scopegate.yaml'))
const { services } = parse(read('docker-compose.yml'))

test("the gateway's configuration has neither faults nor warnings", () => {
  const file = fileURLToPath(new URL('../../deploy/compose/scopegate.yaml', import.meta.url))
  const config = loadConfig(file, services.scopegate.environment)
  expect(config.warnings).toEqual([])
  expect(config.routes).toHaveLength(4)
})

test('other services call the token route by the name of the service', () => {
  const [archive] = gateway.routes.filter((route: { token?: object }) => route.token)
  expect(archive.hosts.filter((host: string) => host in services)).toEqual(['scopegate'])
})

test('every port is published on loopback alone', () => {
  const ports = Object.values<{ ports?: string[] }>(services).flatMap((service) => service.ports ?? [])
  expect(ports.length).toBeGreaterThan(3)
  for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
})

test('the gateway and the realm agree on the client, its secret, its scopes and the audience', () => {
  const { client_id, authorization_server } = gateway.clients['archival-service']
  const client = realm.clients.find((candidate: { clientId: string }) => candidate.clientId === client_id)
  expect(client.serviceAccountsEnabled).toBe(true)
  expect(services.scopegate.environment.ARCHIVAL_SECRET).toBe(client.secret)
  const wanted = gateway.routes.flatMap((route: { token?: { scopes: string[] } }) => route.token?.scopes ?? [])
  expect(client.optionalClientScopes).toEqual(expect.arrayContaining(wanted))
  const audience = gateway.authorization_servers[authorization_server].access_tokens.audience
  expect(JSON.stringify(realm.clientScopes)).toContain(`"included.custom.audience":"${audience}"`)
})

test('the issuer is what Keycloak is told that it is, and is reached by its name in the network', () => {
  const { issuer, discovery_url } = gateway.authorization_servers.keycloak
  expect(issuer).toBe(`${services.keycloak.environment.KC_HOSTNAME}/realms/${realm.realm}`)
  expect(discovery_url).toBe(`http://keycloak:8080/realms/${realm.realm}/.well-known/openid-configuration`)
})

test('every scope of a client is one that the realm has', () => {
  const known = realm.clientScopes.map((scope: { name: string }) => scope.name)
  for (const client of realm.clients) {
    expect(known).toEqual(expect.arrayContaining([...client.defaultClientScopes, ...client.optionalClientScopes]))
  }
})

test('whatever a service waits for has a health check, of its own or of the image that is built', () => {
  for (const service of Object.values<{ depends_on?: Record<string, unknown> }>(services)) {
    for (const name of Object.keys(service.depends_on ?? {}))
      expect(
        services[name].healthcheck ?? (services[name].build && read('Dockerfile').match(/^HEALTHCHECK/m)),
      ).toBeTruthy()
  }
})

test('every file that a container is given is there', () => {
  const files = Object.values<{ volumes?: string[] }>(services).flatMap(({ volumes = [] }) => volumes)
  expect(files.length).toBeGreaterThan(3)
  for (const file of files) expect(read(file.split(':')[0] ?? '')).not.toBe('')
})

test('the base URL of the legacy service leads to the route that sends a token', () => {
  const { hostname, port, pathname } = new URL(services.legacy.environment.CUSTOMERS_URL)
  const archive = gateway.routes.find((route: { token?: object }) => route.token)
  expect(archive.hosts).toContain(hostname)
  expect(gateway.listeners[archive.listener].address).toBe(`0.0.0.0:${port}`)
  expect(`${pathname}/**`).toBe(archive.path)
})
