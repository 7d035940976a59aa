import { closestMatch } from 'leven'

/** The known word that was probably meant. */
export function closest(word: string, known: readonly string[]): string | undefined {
  const lower = word.toLowerCase()
  const alike = closestMatch(lower, known, { maxDistance: Math.max(2, Math.floor(word.length / 3)) })
  // What somebody remembers of a long name is its end.
  return alike ?? known.find((each) => each.endsWith(`_${lower}`))
}

/** `; did you mean "x"?`, or what there is to choose from, or nothing. */
export function suggest(word: string, known: readonly string[]): string {
  const match = closest(word, known)
  if (match !== undefined) return `; did you mean "${match}"?`
  return known.length > 0 && known.length <= 20 ? `; there is ${known.join(', ')}` : ''
}

/** The keys that the JSON Schema knows at a path, whichever of several forms is meant. */
export function knownKeys(schema: unknown, path: readonly PropertyKey[]): string[] {
  const forms = path.reduce<Form[]>(
    (current, key) => current.flatMap((form) => step(form, key)),
    flatten(schema as Form),
  )
  return [...new Set(forms.flatMap((form) => Object.keys(form.properties ?? {})))]
}

interface Form {
  readonly properties?: Record<string, Form>
  readonly additionalProperties?: Form | boolean
  readonly items?: Form
  readonly anyOf?: readonly Form[]
  readonly oneOf?: readonly Form[]
}

function flatten(form: Form): Form[] {
  return [form, ...(form.anyOf ?? []).flatMap(flatten), ...(form.oneOf ?? []).flatMap(flatten)]
}

function step(form: Form, key: PropertyKey): Form[] {
  const next = typeof key === 'number' ? form.items : (form.properties?.[String(key)] ?? form.additionalProperties)
  return typeof next === 'object' ? flatten(next) : []
}
