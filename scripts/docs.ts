import { clientAuthMethods } from '../src/authorization-server/client-auth/index.ts'
import { errorCodes } from '../src/base/errors.ts'
import { configJsonSchema } from '../src/config/schema.ts'
import { type MethodRow, methodRows } from '../test/authorization-server/client-auth/method-rows.ts'

/** The README with every part that follows from the code written anew. */
export function renderReadme(readme: string): string {
  const parts: Record<string, string> = {
    configuration: configurationTable(),
    codes: codesTable(),
    'client-authentication': methodsTable(methodRows),
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

/** Every method, with what is tried of it against a real authorization server; the test of these makes it anew. */
export function methodsTable(tried: readonly Pick<MethodRow, 'method' | 'variant'>[]): string {
  const rows = clientAuthMethods.map(({ name, summary, options }) => {
    const keys = Object.keys(options).map((key) => `\`${key}\``)
    const variants = tried.filter(({ method }) => method === name).map(({ variant }) => variant)
    return `| \`${name}\` | ${summary} | ${keys.join(', ')} | ${variants.join(' · ')} |`
  })
  const head = '| `token_endpoint_auth_method` | what it does | its keys | tried against a real server with |'
  return [head, '| --- | --- | --- | --- |', ...rows].join('\n')
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
  readonly kind: string
  readonly about: string
}

function configurationTable(): string {
  const rows = new Map<string, Row>()
  for (const row of rowsOf(configJsonSchema() as Schema, '')) {
    const earlier = rows.get(row.key)
    rows.set(row.key, earlier ? merge(earlier, row) : row)
  }
  const lines = [...rows.values()].map(({ key, kind, about }) => `| \`${key}\` | ${kind} | ${about} |`)
  return ['| key | value | |', '| --- | --- | --- |', ...lines].join('\n')
}

const mustBeGiven = 'must be given'

/** The same key in several forms of a map: all the words that it may be, and the last explanation that there is. */
function merge(earlier: Row, row: Row): Row {
  const words = [...earlier.kind.split(', '), ...row.kind.split(', ')]
  const about = row.about === '' ? earlier.about : row.about
  const optional = !earlier.about.endsWith(mustBeGiven)
  return {
    key: row.key,
    kind: words.every((word) => /^`[^`]+`$/.test(word)) ? [...new Set(words)].join(', ') : row.kind,
    about: optional && about.endsWith(mustBeGiven) ? about.slice(0, -mustBeGiven.length).replace(/; $/, '') : about,
  }
}

function rowsOf(schema: Schema, prefix: string): Row[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    const key = prefix === '' ? name : `${prefix}.${name}`
    const optional = !(schema.required ?? []).includes(name)
    return [{ key, kind: kindOf(inner), about: aboutOf(inner, optional) }, ...rowsOf(inner, key)]
  })
  const named =
    typeof schema.additionalProperties === 'object' ? rowsOf(schema.additionalProperties, `${prefix}.NAME`) : []
  const items = schema.items ? rowsOf(schema.items, `${prefix}[]`) : []
  const forms = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((form) => rowsOf(form, prefix))
  return [...own, ...named, ...items, ...forms]
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

function aboutOf(schema: Schema, optional: boolean): string {
  const fallback =
    schema.default === undefined || typeof schema.default === 'object' ? '' : `default \`${schema.default}\``
  const needed = optional || fallback !== '' ? '' : mustBeGiven
  return [schema.description, fallback, needed].filter((part) => part).join('; ')
}
