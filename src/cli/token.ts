import { GatewayError } from '../base/errors.ts'
import { createLog, createLogOutput } from '../base/log.ts'
import { parseScope } from '../base/scope.ts'
import { type ClientToken, createClientTokens, type TokenWish } from '../client-tokens.ts'
import { type Config, loadConfig } from '../config/load.ts'
import { namedRoutes } from '../config/route-names.ts'

export interface TokenOptions {
  readonly config: string
  readonly route?: string
  readonly scope?: string
  readonly fresh?: true
  readonly raw?: true
}

/** Gets a client's token as the gateway would, and prints what it is; the token itself only when `raw` is asked for. */
export async function token(client: string | undefined, options: TokenOptions): Promise<void> {
  const config = loadConfig(options.config, process.env, { routes: 'optional' })
  const asked = askedToken(config, client, options)
  const tokens = createClientTokens(config, {
    log: createLog(createLogOutput(2), 'warn'),
    ownTokens: options.fresh === true,
  })
  const startedAt = performance.now()
  try {
    const obtained = await tokens.get(asked.client, asked.wish)
    const text = options.raw ? obtained.value.read() : describe(asked, obtained, performance.now() - startedAt)
    process.stdout.write(`${text}\n`)
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    throw new Error(`no token for ${asked.client}: ${error.code}: ${error.options.reason ?? error.sentence}`)
  } finally {
    await tokens.close()
  }
}

interface AskedToken {
  readonly client: string
  readonly wish: TokenWish
  /** How a route sends it. */
  readonly sentAs?: string
}

/** The token of the route that is named, or the client's own; in both another scope may be asked for. */
function askedToken(config: Config, client: string | undefined, { route, scope }: TokenOptions): AskedToken {
  const other = scope === undefined ? {} : { scopes: parseScope(scope) }
  if (route === undefined) {
    if (client === undefined) throw new Error('whose token? Name a client, or a route with --route')
    return { client, wish: other }
  }
  const own = tokenOfRoute(config, route)
  if (client !== undefined && client !== own.client)
    throw new Error(`the route ${route} sends the token of ${own.client}, and not of ${client}`)
  const { scope: scopeValues, scopes = scopeValues, audience, resource, params, header, scheme } = own
  const sentAs = `${header}: ${scheme === '' ? '' : `${scheme} `}…`
  return { client: own.client, wish: { scopes, audience, resource, params, ...other }, sentAs }
}

function tokenOfRoute(config: Config, name: string) {
  const routes = namedRoutes(config)
  const route = routes.find((each) => each.name === name)
  const withToken = routes.filter(({ token }) => token).map((each) => each.name)
  const known = `a token goes out on ${withToken.join(', ') || 'none'}`
  if (!route) throw new Error(`there is no route ${name}; ${known}`)
  if (!route.token) throw new Error(`no token goes out on the route ${name}; ${known}`)
  if (route.token.exchange)
    throw new Error(
      `the route ${name} exchanges the token of each caller, and here is none: call the route itself; its log line has the reason where that fails`,
    )
  return route.token
}

function describe({ client, wish, sentAs }: AskedToken, obtained: ClientToken, milliseconds: number): string {
  const { value, scope, askedScopes, expiresAt, source } = obtained
  const claims = readClaims(value.read())
  const rows: [name: string, what: string | undefined][] = [
    ['client', client],
    ['sent as', sentAs],
    ['from', `${source === 'fetched' ? 'the authorization server' : source}, in ${Math.round(milliseconds)} ms`],
    ['expires', expiry(expiresAt, Date.now())],
    ['asked scope', askedScopes.join(' ') || 'none'],
    ['granted scope', scope ?? 'the server did not say'],
    ['audience', wish.audience?.join(' ')],
    ['resource', wish.resource?.join(' ')],
    ['token', claims ? 'a JWT with these claims' : 'opaque: only its server knows what it says'],
  ]
  const lines = rows.flatMap(([name, what]) => (what === undefined ? [] : `${`${name}:`.padEnd(15)}${what}`))
  return [...lines, ...(claims ? [JSON.stringify(claims, null, 2)] : [])].join('\n')
}

function expiry(expiresAt: number, now: number): string {
  const seconds = Math.round((expiresAt - now) / 1000)
  return `${new Date(expiresAt).toISOString()}, ${seconds > 0 ? `in ${seconds} s` : 'by now: it is too short-lived to be kept'}`
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
