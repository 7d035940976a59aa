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
import { findLimitFault } from './yaml-limits.ts'

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
  const faults: Fault[] = [...foreignTags(document, place), ...starredWords(document, place)]
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
  const limit = usable ? findLimitFault(document) : undefined
  if (limit) {
    const at = { ...place(limit.node?.range?.[0] ?? 0), path: '' }
    if (!faults.some(({ line, column }) => line === at.line && column === at.column))
      faults.push({ ...at, message: limit.message })
  }
  const readable = usable && !limit
  // What aliases multiply to has just been counted.
  return {
    values: readable ? document.toJS({ maxAliasCount: -1 }) : undefined,
    faults,
    usable: readable,
    fault,
    source,
  }
}

const coreTags = ['str', 'int', 'float', 'bool', 'null', 'map', 'seq'].map((name) => `tag:yaml.org,2002:${name}`)
const tagMessage =
  'a value that begins with ! has a tag to YAML, and scopegate knows none of its own; a variable is written ${env:NAME}, and text that begins with ! in quotes'

/** `!env NAME` would count as the text NAME, and a password such as !hunter2 as no text at all. */
function foreignTags(document: Document, place: (offset: number) => { line: number; column: number }): Fault[] {
  const faults: Fault[] = []
  visit(document, {
    Node(_key, node) {
      if (isAlias(node) || node.tag === undefined || node.tag === '!' || coreTags.includes(node.tag)) return
      faults.push({ ...place(node.range?.[0] ?? 0), path: '', message: tagMessage })
    },
  })
  return faults
}

/** `path: **` and `host: *.x` are aliases to YAML. They count as the text that was meant, so that checking can go on. */
function starredWords(document: Document, place: (offset: number) => { line: number; column: number }): Fault[] {
  const faults: Fault[] = []
  const anchors = new Set<string>()
  visit(document, {
    Value(_key, { anchor }) {
      if (anchor !== undefined) anchors.add(anchor)
    },
    Alias(_key, alias) {
      if (anchors.has(alias.source)) return undefined
      // The word is not repeated: it may be a password.
      const message =
        'a value that begins with * is an alias to YAML, and no anchor has that name; if the text is meant, write it in quotes'
      faults.push({ ...place(alias.range?.[0] ?? 0), path: '', message })
      return Object.assign(new Scalar(`*${alias.source}`), { range: alias.range ?? null })
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
  if (code === 'TAG_RESOLVE_FAILED') return tagMessage
  if (code === 'RESOURCE_EXHAUSTION') return 'is nested too deeply'
  // Behind the colon stands what was found, which may be a secret.
  const [what = ''] = message.split(/[:\n]/)
  return `not YAML: ${what.charAt(0).toLowerCase()}${what.slice(1)}`
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
