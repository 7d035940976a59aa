import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  Scalar,
  visit,
} from 'yaml'
import { type Fault, formatPath } from './config-error.ts'

export type Path = readonly PropertyKey[]

/** A YAML file, read: its values, and where in the text each of them stands. */
export interface YamlDocument {
  readonly values: unknown
  readonly faults: readonly Fault[]
  /** False if the text is no YAML at all, so that its values mean nothing. */
  readonly usable: boolean
  /** A fault at the value of the path, at its key, or, where it is missing, at what should hold it. */
  fault(path: Path, message: string, at?: 'key' | 'value'): Fault
  /** The value as it is written in the file. */
  source(path: Path): string | undefined
}

/** Reads YAML 1.2 with merge keys. What people usually trip over gets a message of its own. */
export function readYaml(text: string): YamlDocument {
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { lineCounter, merge: true, prettyErrors: false, logLevel: 'error' })
  const lines = text.split('\n')
  const place = (offset: number) => {
    const { line, col } = lineCounter.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const faults: Fault[] = starredWords(document, place)
  const repeated = document.errors.filter((error) => error.code === 'DUPLICATE_KEY')
  // One slip makes many errors in the rest of the file, and the first one tells where it is.
  const [slip] = document.errors.filter((error) => error.code !== 'DUPLICATE_KEY')
  const usable = slip === undefined
  for (const error of slip ? [slip] : repeated) {
    const { line, column } = place(error.pos[0])
    faults.push({ line, column, path: '', message: syntaxMessage(error.code, error.message, lines[line - 1] ?? '') })
  }
  const fault = (path: Path, message: string, at: 'key' | 'value' = 'value'): Fault => ({
    ...place(offsetOf(document, path, at)),
    path: formatPath(path),
    message,
  })
  const source = (path: Path) => {
    const node = locate(document, path).at(-1)?.value
    return isScalar(node) ? node.source : undefined
  }
  const { values, fault: tooMuch } = usable ? readValues(document) : {}
  if (tooMuch) faults.push(tooMuch)
  return { values, faults, usable: usable && !tooMuch, fault, source }
}

/** Far more than any configuration needs, and few enough to be expanded. */
const mostAliases = 10_000

function readValues(document: Document): { readonly values?: unknown; readonly fault?: Fault } {
  try {
    return { values: document.toJS({ maxAliasCount: mostAliases }) }
  } catch {
    return {
      fault: {
        line: 1,
        column: 1,
        path: '',
        message: 'its aliases (*name) expand to too much',
      },
    }
  }
}

/** `path: **` and `host: *.x` are aliases to YAML. They count as the text that was meant, so that checking can go on. */
function starredWords(document: Document, place: (offset: number) => { line: number; column: number }): Fault[] {
  const faults: Fault[] = []
  visit(document, {
    Alias(_key, alias, ancestors) {
      const meant = alias.resolve(document)
      const word = `*${alias.source}`
      if (meant && ancestors.includes(meant)) {
        faults.push({ ...place(alias.range?.[0] ?? 0), path: '', message: `${word} stands within what it repeats` })
        return Object.assign(new Scalar(word), { range: alias.range ?? null })
      }
      if (meant) return undefined
      const message = `${word} is an alias to YAML, and no anchor has that name; if the text is meant, write "${word}" in quotes`
      faults.push({ ...place(alias.range?.[0] ?? 0), path: '', message })
      return Object.assign(new Scalar(word), { range: alias.range ?? null })
    },
  })
  return faults
}

function syntaxMessage(code: string, message: string, line: string): string {
  const address = /:\s+(\[[0-9a-fA-F:.]*\]:\d+)/.exec(line)?.[1]
  if (address) return `${address} is a list to YAML; write "${address}" in quotes`
  if (code === 'BAD_ALIAS') return 'a lone * is an alias to YAML; if the text is meant, write it in quotes'
  if (/[{[].*\$\{/.test(line)) return 'within { } or [ ] a value with ${…} stands in quotes: "${env:NAME}"'
  if (code === 'DUPLICATE_KEY') return 'the same key stands here twice; keep one of them'
  if (code === 'TAB_AS_INDENT') return 'a tab indents this line; YAML wants spaces'
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here (---); one file holds one configuration'
  return `not YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`
}

interface Step {
  readonly key?: Node | undefined
  readonly value?: Node | undefined
}

/** The nodes along the path, as far as they exist. */
function locate(document: Document, path: Path): Step[] {
  const steps: Step[] = [{ value: document.contents as Node | undefined }]
  for (const key of path) {
    const next = child(document, steps.at(-1)?.value, key)
    if (!next) break
    steps.push(next)
  }
  return steps
}

function child(document: Document, parent: unknown, key: PropertyKey): Step | undefined {
  const node = isAlias(parent) ? parent.resolve(document) : parent
  if (isSeq(node)) {
    const value = node.items[Number(key)] as Node | undefined
    return value && { key: value, value }
  }
  if (!isMap(node)) return undefined
  const pairs = node.items as Pair<Node, Node | null>[]
  const own = pairs.find((pair) => isScalar(pair.key) && String(pair.key.value) === String(key))
  if (own) return { key: own.key, value: own.value ?? undefined }
  const merged = pairs.filter(
    (pair) => isScalar(pair.key) && (pair.key.value === '<<' || typeof pair.key.value === 'symbol'),
  )
  for (const { value } of merged) {
    const sources = isSeq(value) ? value.items : [value]
    for (const source of sources) {
      const found = child(document, source, key)
      if (found) return found
    }
  }
  return undefined
}

function offsetOf(document: Document, path: Path, at: 'key' | 'value'): number {
  const steps = locate(document, path)
  const last = steps.at(-1)
  const missing = steps.length <= path.length
  const empty = isScalar(last?.value) && last.value.value === null
  const node = missing || empty || at === 'key' ? (last?.key ?? last?.value) : last?.value
  return node?.range?.[0] ?? last?.key?.range?.[0] ?? 0
}
