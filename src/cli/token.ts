import { GatewayError } from '../base/errors.ts'
import { createLog, createLogOutput } from '../base/log.ts'
import { parseScope } from '../base/scope.ts'
import { type ClientToken, createClientTokens } from '../client-tokens.ts'
import { loadConfig } from '../config/load.ts'

export interface TokenOptions {
  readonly config: string
  readonly scope?: string
  readonly raw?: true
}

/** Gets a client's token as the gateway would, and prints what it is; the token itself only when `raw` is asked for. */
export async function token(client: string, options: TokenOptions): Promise<void> {
  const config = loadConfig(options.config)
  const tokens = createClientTokens(config, { log: createLog(createLogOutput(2), 'warn') })
  const startedAt = performance.now()
  try {
    const obtained = await tokens.get(client, options.scope === undefined ? {} : { scopes: parseScope(options.scope) })
    const text = options.raw ? obtained.value.read() : describe(client, obtained, performance.now() - startedAt)
    process.stdout.write(`${text}\n`)
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    throw new Error(`no token for ${client}: ${error.code}: ${error.options.reason ?? error.sentence}`)
  } finally {
    await tokens.close()
  }
}

function describe(client: string, { value, scope, expiresAt, source }: ClientToken, milliseconds: number): string {
  const seconds = Math.round((expiresAt - Date.now()) / 1000)
  const claims = readClaims(value.read())
  const rows = [
    ['client', client],
    ['from', `${source === 'fetched' ? 'the authorization server' : source}, in ${Math.round(milliseconds)} ms`],
    ['expires', `${new Date(expiresAt).toISOString()}, in ${seconds} s`],
    ['granted scope', scope ?? 'not said: as asked'],
    ['token', claims ? 'a JWT with these claims' : 'opaque: only its server knows what it says'],
  ]
  const lines = rows.map(([name = '', what = '']) => `${`${name}:`.padEnd(15)}${what}`)
  return [...lines, ...(claims ? [JSON.stringify(claims, null, 2)] : [])].join('\n')
}

/** For show alone: nobody has verified them here. */
function readClaims(text: string): object | undefined {
  const [, payload, , ...rest] = text.split('.')
  if (payload === undefined || rest.length > 0) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    return typeof claims === 'object' && claims !== null ? claims : undefined
  } catch {
    return undefined
  }
}
