/**
 * Tries scopegate against an authorization server that runs somewhere, as clients that are registered there:
 * `npm run interop -- --issuer URL --client ID --secret-file FILE`. Prints what came of it as a table in Markdown. The exit
 * code is 1 if anything failed, or nothing could be tried, and 2 if the options are wrong.
 */
import { readFileSync } from 'node:fs'
import { createHttpClient } from '../../src/authorization-server/http-client.ts'
import { type MethodName, methodNames, type Options, readOptions, reasonToSkip, usage } from './options.ts'
import { setStage } from './stage.ts'
import { type Row, tryOut, walkEgress, walkIngress } from './walk.ts'

const options = readOptionsOrEnd()
try {
  const rows = await tryAll(options, await readOfferedMethods(options))
  process.stdout.write(tableOf(options.name ?? options.issuer, rows))
  const failed = rows.some(({ outcome }) => outcome === 'failed')
  process.exitCode = failed || rows.every(({ outcome }) => outcome === 'skipped') ? 1 : 0
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : 'it could not go on'}\n`)
  process.exitCode = 1
}

function readOptionsOrEnd(): Options {
  try {
    return readOptions(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : ''}\n\n${usage}\n`)
    process.exit(2)
  }
}

/** Every method, and then what a route does with a token that one of them got. */
async function tryAll(options: Options, offered: readonly string[]): Promise<Row[]> {
  const methods: Row[] = []
  let ingress: Row[] | undefined
  for (const method of methodNames) {
    const reason = reasonToSkip(method, options, offered)
    if (reason !== undefined) {
      methods.push({ tried: method, outcome: 'skipped', note: reason })
      continue
    }
    methods.push(await tryMethod(method, options))
    if (methods.at(-1)?.outcome === 'passed') ingress ??= await tryTokens(method, options)
  }
  return [...methods, ...(ingress ?? [{ tried: 'a good token', outcome: 'skipped', note: 'no token was to be had' }])]
}

function tryMethod(method: MethodName, options: Options): Promise<Row> {
  return tryOut(method, async () => {
    const stage = await setStage(options, method)
    return walkEgress(stage).finally(stage.stop)
  })
}

async function tryTokens(method: MethodName, options: Options): Promise<Row[]> {
  const stage = await setStage(options, method)
  try {
    const token = (await stage.tokens.get('tried')).value.read()
    const isJwt = token.split('.').length === 3
    if (isJwt) return await walkIngress(stage, token)
    return [{ tried: 'a good token', outcome: 'skipped', note: 'the tokens of this server are no JWTs' }]
  } finally {
    await stage.stop()
  }
}

/**
 * `token_endpoint_auth_methods_supported`; a server that names none has one.
 * @throws {Error} for a server without metadata
 * @see https://www.rfc-editor.org/rfc/rfc8414#section-2
 */
async function readOfferedMethods(options: Options): Promise<readonly string[]> {
  const { issuer, 'discovery-url': url, 'ca-file': caFile } = options
  const ca = caFile === undefined ? undefined : readFileSync(caFile, 'utf8')
  const http = createHttpClient({ ca, timeout: 10_000 })
  try {
    const { origin, pathname } = new URL(issuer)
    const path = pathname.replace(/\/$/, '')
    const places = [
      `${origin}/.well-known/oauth-authorization-server${path}`,
      `${origin}${path}/.well-known/openid-configuration`,
    ]
    for (const place of url === undefined ? places : [url]) {
      const answer = await http.fetch(place)
      if (answer.status !== 200) continue
      const { token_endpoint_auth_methods_supported: methods = ['client_secret_basic'] } = Object(
        JSON.parse(await answer.text()),
      )
      return Array.isArray(methods) ? methods.map(String) : []
    }
  } finally {
    await http.close()
  }
  throw new Error(`no metadata of ${issuer} is to be found; give its --discovery-url`)
}

function tableOf(server: string, rows: readonly Row[]): string {
  const words = { passed: '✓', failed: '✗ FAILED:', skipped: 'skipped:' }
  const lines = rows.map(({ tried, outcome, note }) => [tried, `${words[outcome]} ${note}`])
  return [['tried', server], ['---', '---'], ...lines]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll(/[|\s]+/g, ' ').trim()).join(' | ')} |\n`)
    .join('')
}
