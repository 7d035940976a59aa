import { clientAuthMethods } from '../src/authorization-server/client-auth/index.ts'
import { presets } from '../src/authorization-server/presets/index.ts'
import { errorCodes } from '../src/base/errors.ts'
import { settingOf } from '../src/cli/presets.ts'
import { configJsonSchema } from '../src/config/schema.ts'
import { type Doubt, doubts } from '../src/routes/doubts.ts'
import { type MethodRow, methodRows } from '../test/authorization-server/client-auth/method-rows.ts'

/** The README with every part that follows from the code written anew. */
export function renderReadme(readme: string): string {
  const parts: Record<string, string> = {
    configuration: configurationTable(),
    codes: codesTable(),
    'client-authentication': methodsTable(methodRows),
    presets: presetsTable(),
    doubts: doubtsTable(),
  }
  return Object.entries(parts).reduce((text, [name, part]) => replacePart(text, name, part), readme)
}

/** The JSON Schema as it lies beside the example configuration. */
export function renderJsonSchema(): string {
  return `${JSON.stringify(configJsonSchema(), null, 2)}\n`
}

function replacePart(text: string, name: string, part: string): string {
  const [begin, end] = [`<!-- ${name}: generated -->`, `<!-- /${name} -->`]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`the README has no place for the generated part "${name}"`)
  return `${text.slice(0, from + begin.length)}\n\n${part}\n\n${text.slice(to)}`
}

function codesTable(): string {
  const rows = Object.entries(errorCodes).map(
    ([code, [status, sentence]]) => `| ${status} | \`${code}\` | ${sentence} |`,
  )
  return ['| status | `code` | what it means |', '| --- | --- | --- |', ...rows].join('\n')
}

/**
 * Every method, with what is tried of it against a real authorization server, and what arrives as it should though that server
 * has no say in it; the test of these makes it anew.
 */
export function methodsTable(tried: readonly Pick<MethodRow, 'method' | 'variant' | 'realServer'>[]): string {
  const rows = clientAuthMethods.map(({ name, summary, options }) => {
    const keys = Object.keys(options).map((key) => `\`${key}\``)
    const own = tried.filter(({ method }) => method === name)
    const variants = (judged: boolean) =>
      own.flatMap(({ variant, realServer }) => ((realServer === undefined) === judged ? [variant] : [])).join(' · ')
    return `| \`${name}\` | ${summary} | ${keys.join(', ')} | ${variants(true)} | ${variants(false)} |`
  })
  const head =
    '| `token_endpoint_auth_method` | what it does | its keys | tried against a real server with | seen to arrive, though that server makes nothing of it |'
  return [head, '| --- | --- | --- | --- | --- |', ...rows].join('\n')
}

function presetsTable(): string {
  const rows = presets.map(({ name, server, peculiarities }) => {
    const sets = peculiarities.map((one) => `\`${settingOf(one)}\``).join('<br>')
    return `| \`${name}\` | ${server} | ${sets || 'nothing; it tells what is left to be written'} |`
  })
  return ['| `preset` | the server | what it sets |', '| --- | --- | --- |', ...rows].join('\n')
}

/** What each doubt about a path is, by an example. */
const doubtExamples: Record<Doubt, string> = {
  encoded_slash: '`/a%2Fb`: some servers take it for `/a/b`',
  empty_segment: '`/a//b`: some merge the slashes, some take what follows for a host',
  params: '`/a;x=1/b`: some cut `;x=1` off',
  case: '`/A`: some do not tell it from `/a`',
  double_encoding: '`/a%252Fb`, `%u0041`: some decode twice',
  trailing_slash: '`/a/`: some do not tell it from `/a`',
  trailing_dot: '`/a.`, `/a%20`, `/%20a`: some cut the end off, or blanks on both sides',
  encoded_delimiter: '`/a%3Fb`, `/a%23b`: some end the path there',
  not_utf8: '`/a%C0%AE`: bytes that decoders read in their own ways',
  compatibility_form: '`/ａ` (a wide letter): some fold it to `/a`',
}

function doubtsTable(): string {
  return [
    '| `allow_in_path` | what is taken as it stands then |',
    '| --- | --- |',
    ...doubts.map((doubt) => `| \`${doubt}\` | ${doubtExamples[doubt]} |`),
  ].join('\n')
}

interface Schema {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly properties?: Record<string, Schema>
  readonly required?: readonly string[]
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
}

interface Row {
  readonly key: string
  readonly kinds: readonly string[]
  readonly description: string
  readonly fallback: string
  readonly needed: boolean
}

function configurationTable(): string {
  const rows = new Map<string, Row>()
  for (const row of rowsOf(configJsonSchema() as Schema, '')) {
    const earlier = rows.get(row.key)
    rows.set(row.key, earlier ? merge(earlier, row) : row)
  }
  const lines = [...rows.values()].map(({ key, kinds, description, fallback, needed }) => {
    const about = [description, fallback, needed ? 'must be given' : ''].filter((part) => part !== '').join('; ')
    return `| \`${key}\` | ${kinds.join(' or ')} | ${about} |`
  })
  return ['| key | value | |', '| --- | --- | --- |', ...lines].join('\n')
}

/** The same key in several forms of one block, such as clients of different authentication methods. */
function merge(one: Row, other: Row): Row {
  return {
    key: one.key,
    kinds: [...new Set([...one.kinds, ...other.kinds])],
    description: one.description || other.description,
    fallback: one.fallback || other.fallback,
    needed: one.needed && other.needed,
  }
}

function rowsOf(schema: Schema, prefix: string): Row[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    const key = prefix === '' ? name : `${prefix}.${name}`
    const fallback = fallbackOf(inner)
    const row: Row = {
      key,
      kinds: [kindOf(inner)],
      description: inner.description ?? '',
      fallback,
      needed: fallback === '' && inner.default === undefined && (schema.required ?? []).includes(name),
    }
    return [row, ...rowsOf(inner, key)]
  })
  const named =
    typeof schema.additionalProperties === 'object' ? rowsOf(schema.additionalProperties, `${prefix}.NAME`) : []
  const items = schema.items ? rowsOf(schema.items, `${prefix}[]`) : []
  const forms = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((form) => rowsOf(form, prefix))
  return [...own, ...named, ...items, ...forms]
}

function fallbackOf({ default: fallback, const: only }: Schema): string {
  if (fallback === undefined) return ''
  if (only !== undefined) return `default \`${fallback}\``
  if (Array.isArray(fallback)) return `default ${fallback.map((entry) => `\`${entry}\``).join(', ')}`
  return typeof fallback === 'object' ? '' : `default \`${fallback}\``
}

function kindOf(schema: Schema): string {
  const forms = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].filter((form) => !isSubstitution(form))
  if (forms.length > 0) return [...new Set(forms.map(kindOf))].join(' or ')
  if (schema.const !== undefined) return `\`${schema.const}\``
  if (schema.enum) return schema.enum.map((word) => `\`${word}\``).join(', ')
  if (schema.items) return `list of ${kindOf(schema.items)}`
  if (schema.type === 'object') return schema.properties ? 'map' : 'map by name'
  return schema.type === 'string' ? 'text' : String(schema.type ?? 'text')
}

function isSubstitution(schema: Schema & { pattern?: string }): boolean {
  return schema.pattern === '\\$\\{env:'
}
