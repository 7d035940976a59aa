import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { below, chance, pick, type Random } from '../random.ts'

/** Changes a text a little, with pieces to put in or to take a part of. */
type Mutation = (random: Random, text: string, pieces: readonly string[]) => string

const cut = (text: string, from: number, to: number, instead = '') => text.slice(0, from) + instead + text.slice(to)

function range(random: Random, text: string, most = 40): [from: number, to: number] {
  const from = below(random, text.length + 1)
  return [from, Math.min(text.length, from + below(random, most))]
}

const lineMutation =
  (change: (random: Random, lines: string[], pieces: readonly string[]) => void): Mutation =>
  (random, text, pieces) => {
    const separator = text.includes('\r\n') ? '\r\n' : '\n'
    const lines = text.split(separator)
    change(random, lines, pieces)
    return lines.join(separator)
  }

const mutations: readonly Mutation[] = [
  (random, text) => {
    const at = below(random, text.length)
    return cut(text, at, at + 1, String.fromCharCode((text.charCodeAt(at) ^ (1 << below(random, 8))) & 255))
  },
  (random, text) => {
    const at = below(random, text.length + 1)
    return cut(text, at, at, String.fromCharCode(below(random, 256)))
  },
  (random, text) => cut(text, ...range(random, text)),
  (random, text) => {
    const [from, to] = range(random, text)
    return cut(text, to, to, text.slice(from, to))
  },
  (random, text, pieces) => {
    const at = below(random, text.length + 1)
    return cut(text, at, at, pick(random, pieces))
  },
  (random, text, pieces) => cut(text, ...range(random, text), pick(random, pieces)),
  (random, text, pieces) => {
    const other = pick(random, pieces)
    return text.slice(0, below(random, text.length)) + other.slice(below(random, other.length))
  },
  (random, text) => {
    const at = below(random, text.length + 1)
    return cut(text, at, at, pick(random, [...'\r\n\t \0:;,=/%."{}[]']).repeat(chance(random, 0.05) ? 5000 : 1))
  },
  (random, text) => text.slice(0, below(random, text.length)),
  (random, text) =>
    text.replace(/\d+/, () => pick(random, ['0', '-1', '1', '00', '99999999999999999999', '1e3', '0x10'])),
  lineMutation((random, lines) => void lines.splice(below(random, lines.length), 1)),
  lineMutation((random, lines) => {
    const line = pick(random, lines)
    lines.splice(below(random, lines.length + 1), 0, line)
  }),
  lineMutation((random, lines, pieces) => void lines.splice(below(random, lines.length + 1), 0, pick(random, pieces))),
  lineMutation((random, lines) => {
    const [one, other] = [below(random, lines.length), below(random, lines.length)]
    const line = lines[one] ?? ''
    lines[one] = lines[other] ?? ''
    lines[other] = line
  }),
]

/** Changes a text in up to so many places. */
export function mutate(random: Random, text: string, pieces: readonly string[], most = 4): string {
  let changed = text
  for (let count = below(random, most + 1); count > 0; count--)
    changed = pick(random, mutations)(random, changed, pieces)
  return changed
}

const attacks = fileURLToPath(new URL('../../test/attacks/', import.meta.url))
const literal = /'((?:[^'\\\n]|\\.){2,300})'/g

/** Every text that an attack of `test/attacks` is written with: new attacks are pieces for the next run. */
export function readAttackPieces(): readonly string[] {
  const sources = readdirSync(attacks)
    .sort()
    .map((name) => readFileSync(`${attacks}${name}`, 'utf8'))
  const texts = sources.flatMap((source) => [...source.matchAll(literal)].map(([, text = '']) => readEscapes(text)))
  return [...new Set(texts)]
}

const escapes: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', v: '\v', f: '\f', b: '\b', '0': '\0' }

function readEscapes(text: string): string {
  return text.replace(
    /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|(.))/gi,
    (_, byte?: string, unit?: string, other?: string) => {
      if (byte === undefined && unit === undefined) return escapes[other ?? ''] ?? other ?? ''
      return String.fromCharCode(Number.parseInt(byte ?? unit ?? '', 16))
    },
  )
}
