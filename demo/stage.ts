import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AuthorizationServer, clients, startAuthorizationServer } from './authorization-server.ts'
import { type Gateway, gatewayYaml, startGateway } from './gateway.ts'
import { type Parts, startParts } from './parts.ts'
import { openRedis, type SharedRedis } from './redis.ts'
import { startCountriesApi, startCustomersService, startLegacyReports } from './services.ts'
import { forge, writeHeader, writeTokenHeader } from './tokens.ts'

/** Tokens live for an hour; the files that the printed lines use are written anew before that. */
const renewEvery = 30 * 60_000

/** Everything that runs while the demo does, and the files that it wrote. */
export interface Stage extends StartedStage {
  readonly folder: string
  stop(): Promise<void>
}

interface StartedStage {
  readonly authorizationServer: AuthorizationServer
  readonly gateway: Gateway
  /** Where tokens are shared, and one more gateway to share them with; only with a Redis. */
  readonly redis: SharedRedis | undefined
  readonly secondGateway: Gateway | undefined
  readonly countriesUrl: string
  readonly legacyUrl: string
  readonly configFile: string
  /** What the configuration reads from the environment. */
  readonly environment: Readonly<Record<string, string>>
  /** Files with an `Authorization` header in them, for curl. */
  readonly headerFiles: HeaderFiles
}

interface HeaderFiles {
  readonly reader: string
  readonly writer: string
  readonly forged: string
}

/** Starts all of it on free loopback ports. With the URL of a Redis, tokens are shared there. */
export function setStage(redisUrl?: string): Promise<Stage> {
  return startParts((parts) => startAll(parts, redisUrl))
}

async function startAll({ folder, running }: Parts, redisUrl: string | undefined): Promise<StartedStage> {
  const redis = redisUrl ? running(await openRedis(redisUrl)) : undefined
  const authorizationServer = running(await startAuthorizationServer())
  const issuer = authorizationServer.url
  const countries = running(await startCountriesApi(issuer))
  const customers = running(await startCustomersService())
  const configFile = join(folder, 'scopegate.yaml')
  const neighbours = { authorizationServer: issuer, countries: countries.url, customers: customers.url }
  writeFileSync(configFile, gatewayYaml({ ...neighbours, redisKeyPrefix: redis?.keyPrefix }))
  const environment = { LEGACY_REPORTS_SECRET: clients['legacy-reports'], ...redis?.environment }
  const start = async () => running(await startGateway(configFile, environment))
  const gateway = await start()
  const secondGateway = redis && (await start())
  const legacy = running(await startLegacyReports(gateway.url('legacy')))
  const headerFiles = await writeHeaders(folder, issuer)
  const renewal = setInterval(() => void writeHeaders(folder, issuer), renewEvery)
  running({ stop: () => clearInterval(renewal) })
  return {
    ...{ authorizationServer, gateway, redis, secondGateway, configFile, environment, headerFiles },
    countriesUrl: countries.url,
    legacyUrl: legacy.url,
  }
}

async function writeHeaders(folder: string, issuer: string): Promise<HeaderFiles> {
  const reader = await writeTokenHeader(folder, issuer, 'reader', 'customer.read')
  const writer = await writeTokenHeader(folder, issuer, 'writer', 'customer.write')
  const token = readFileSync(reader, 'utf8').trim().replace('Authorization: Bearer ', '')
  return { reader, writer, forged: writeHeader(folder, 'forged', await forge(token)) }
}
