/** A way to write bytes as text: where a text may hold such writing, and everything that it can be read as. */
interface Coding {
  stretches(text: string): readonly string[]
  read(stretch: string): readonly string[]
}

const matches = (pattern: RegExp) => (text: string) => text.match(pattern) ?? []
const linesWith = (mark: string) => (text: string) =>
  text.includes(mark) ? text.split('\n').filter((line) => line.includes(mark)) : []

/** What stands between the lines of a key, as it is or escaped. */
const lineEnd = String.raw`(?:\\+[rn]|\s)+`
const lineEnds = new RegExp(lineEnd, 'g')

/** Base64 or base64url, over several lines too. Where it begins within what stands before it nobody knows. */
const base64: Coding = {
  stretches: matches(new RegExp(`[\\w+/-]{16,}(?:${lineEnd}[\\w+/-]{16,})*(?:${lineEnd}[\\w+/-]+)?`, 'g')),
  read(stretch) {
    const joined = stretch.replaceAll(lineEnds, '')
    return [0, 1, 2, 3].map((offset) => Buffer.from(joined.slice(offset), 'base64').toString('latin1'))
  },
}

/** With or without something between the bytes, as Node prints a Buffer. */
const hexadecimal: Coding = {
  stretches: matches(/[\da-f](?:[ :]?[\da-f]){15,}/gi),
  read(stretch) {
    const digits = stretch.replaceAll(/[ :]/g, '')
    return [0, 1].map((offset) => Buffer.from(digits.slice(offset), 'hex').toString('latin1'))
  },
}

/** A list of bytes, as JSON has a Buffer. */
const decimal: Coding = {
  stretches: matches(/(?:\d{1,3},\s*){7,}\d{1,3}/g),
  read: (stretch) => [Buffer.from(stretch.split(',').map(Number)).toString('latin1')],
}

const fromHex = (_: string, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))

/** A URL, or a form, where a `+` is a blank. */
const percent: Coding = {
  stretches: linesWith('%'),
  read: (line) => [line, line.replaceAll('+', ' ')].map((text) => text.replaceAll(/%([\da-f]{2})/gi, fromHex)),
}

const meanings: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' }

/** Strings of JSON, of JavaScript, and of what Redis tells. */
const escaped: Coding = {
  stretches: linesWith('\\'),
  read: (line) => [
    line.replaceAll(/\\(?:u([\da-f]{4})|x([\da-f]{2})|(.))/gi, (_, unit?: string, byte?: string, sign?: string) => {
      const digits = unit ?? byte
      return digits === undefined ? (meanings[sign ?? ''] ?? sign ?? '') : fromHex('', digits)
    }),
  ],
}

const codings = [base64, hexadecimal, decimal, percent, escaped]

/**
 * The text as it is, and whatever can be read out of it: Base64 at any offset, hexadecimal, lists of bytes, percent-encoding
 * and escapes, and these within each other. What is read out has a character for each byte.
 */
export function* readingsOf(text: string, depth = 3): Generator<string> {
  yield text
  if (depth === 0) return
  for (const { stretches, read } of codings) {
    for (const stretch of stretches(text)) {
      for (const reading of read(stretch)) if (reading !== text) yield* readingsOf(reading, depth - 1)
    }
  }
}
