/** What stands where something was taken out of a text. */
export const redacted = '[redacted]'

/** So many characters of a secret in a row, or half of a short one, tell too much: a server may cut off what it quotes. */
const telling = 8

/** A text with a secret in it, as those that quote it write it. Each gives the text back with one way of writing undone. */
const decodings: readonly ((text: string) => string)[] = [
  (text) => text.replaceAll('+', ' '),
  (text) => text.replace(/(?:%[0-9a-f]{2})+/gi, (bytes) => Buffer.from(bytes.replaceAll('%', ''), 'hex').toString()),
  (text) => text.replace(/&#(?:x([0-9a-f]{1,6})|(\d{1,7}));?/gi, (_, hex, decimal) => character(hex, decimal)),
  (text) => text.replace(/&(amp|lt|gt|quot|apos|nbsp);?/gi, (_, name: string) => entities[name.toLowerCase()] ?? ''),
  (text) => text.replace(/\\(?:u\{?|x)([0-9a-f]{2,6})\}?/gi, (_, hex) => character(hex)),
  (text) => text.replace(/\\(.)/g, '$1'),
]

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }
/** There are two thousand more, and nobody can tell what of a secret stands behind them. */
const otherEntity = /&(?!(?:amp|lt|gt|quot|apos|nbsp);)[a-z][a-z0-9]*;/i

function character(hex: string | undefined, decimal = ''): string {
  const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
  return code <= 0x10ffff ? String.fromCodePoint(code) : ''
}

/** Three layers of writing, as of a form in a page in a string, are looked through. */
const layers = 3

/** The text, and whatever it could be read as. */
function readings(text: string): Set<string> {
  const all = new Set([text])
  for (let layer = 0; layer < layers; layer++)
    for (const known of [...all]) for (const decode of decodings) all.add(decode(known))
  return all
}

/** A secret as it is, and as a form or a URL has it. */
function spellings(secret: string): string[] {
  const form = new URLSearchParams([['', secret]]).toString().slice(1)
  return [secret, form, form.replaceAll('+', '%20')]
}

/**
 * The text without the secrets. What quotes one as it is, or as a form has it, loses that; `undefined` for a text that
 * may hold some of it still, in another writing: a page that encodes what it quotes would put it into the log.
 */
export function withoutSecrets(text: string, secrets: readonly string[]): string | undefined {
  const given = [...new Set(secrets)].filter((secret) => secret !== '')
  if (given.length === 0) return text
  const rest = given
    .flatMap(spellings)
    .sort((one, other) => other.length - one.length)
    .reduce((said, spelling) => said.replaceAll(spelling, redacted), text)
  const fragments = given.map(fragmentsOf)
  const tells = [...readings(rest)].some(
    (reading) => otherEntity.test(reading) || fragments.some((each) => each.isIn(reading)),
  )
  return tells ? undefined : rest
}

/** In any letter case. */
function fragmentsOf(secret: string) {
  const length = Math.min(telling, Math.ceil(secret.length / 2))
  const cut = (text: string) =>
    Array.from({ length: Math.max(0, text.length - length + 1) }, (_, start) => text.slice(start, start + length))
  const fragments = new Set(cut(secret.toLowerCase()))
  return {
    isIn: (reading: string) =>
      cut(reading.replaceAll(redacted, '\n').toLowerCase()).some((piece) => fragments.has(piece)),
  }
}
