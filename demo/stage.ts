import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AuthorizationServer, startAuthorizationServer } from './authorization-server.ts'
import { type Gateway, gatewayYaml, startGateway } from './gateway.ts'
import { startCountriesApi, startCustomersService, startLegacyReports } from './services.ts'
import { forge, writeHeader, writeTokenHeader } from './tokens.ts'

/** Tokens live for an hour; the files that the printed lines use are written anew before that. */
const renewEvery = 30 * 60_000

/** Everything that runs while the demo does, and the files that it wrote. */
export interface Stage {
  readonly authorizationServer: AuthorizationServer
  readonly gateway: Gateway
  readonly countriesUrl: string
  readonly legacyUrl: string
  /** A folder of its own under the system's temporary one; gone once the demo has stopped. */
  readonly folder: string
  readonly configFile: string
  /** Files with an `Authorization` header in them, for curl. */
  readonly headerFiles: HeaderFiles
  stop(): void
}

interface HeaderFiles {
  readonly reader: string
  readonly writer: string
  readonly forged: string
}

/** Starts all of it on free loopback ports. */
export async function setStage(): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'scopegate-demo-'))
  const stops = [() => rmSync(folder, { recursive: true, force: true })]
  const stop = () => {
    for (const end of stops.splice(0).reverse()) end()
  }
  try {
    return { ...(await startAll(folder, stops)), folder, stop }
  } catch (error) {
    stop()
    throw error
  }
}

async function startAll(folder: string, stops: (() => void)[]): Promise<Omit<Stage, 'folder' | 'stop'>> {
  const running = <Part extends { stop(): void }>(part: Part): Part => {
    stops.push(part.stop)
    return part
  }
  const authorizationServer = running(await startAuthorizationServer())
  const issuer = authorizationServer.url
  const countries = running(await startCountriesApi(issuer))
  const customers = running(await startCustomersService())
  const configFile = join(folder, 'scopegate.yaml')
  writeFileSync(
    configFile,
    gatewayYaml({ authorizationServer: issuer, countries: countries.url, customers: customers.url }),
  )
  const gateway = running(await startGateway(configFile))
  const legacy = running(await startLegacyReports(gateway.url('legacy')))
  const headerFiles = await writeHeaders(folder, issuer)
  const renewal = setInterval(() => void writeHeaders(folder, issuer), renewEvery)
  stops.push(() => clearInterval(renewal))
  return { authorizationServer, gateway, countriesUrl: countries.url, legacyUrl: legacy.url, configFile, headerFiles }
}

async function writeHeaders(folder: string, issuer: string): Promise<HeaderFiles> {
  const reader = await writeTokenHeader(folder, issuer, 'reader', 'customer.read')
  const writer = await writeTokenHeader(folder, issuer, 'writer', 'customer.write')
  const token = readFileSync(reader, 'utf8').trim().replace('Authorization: Bearer ', '')
  return { reader, writer, forged: writeHeader(folder, 'forged', await forge(token)) }
}
