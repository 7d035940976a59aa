import { styleText } from 'node:util'

/** Writes what the demo tells. */
export interface Printer {
  heading(text: string): void
  say(text: string): void
  /** A line for a person to repeat. */
  command(line: string): void
  /** What came back. */
  answer(lines: readonly string[]): void
  check(holds: boolean, text: string): void
}

type Style = Parameters<typeof styleText>[0]

/** A printer to a stream; colours only if it is a terminal, and NO_COLOR is not set. */
export function createPrinter(stream: Pick<NodeJS.WriteStream, 'isTTY' | 'write'>): Printer {
  const colours = stream.isTTY === true && !process.env.NO_COLOR
  const paint = (style: Style, text: string) => (colours ? styleText(style, text, { validateStream: false }) : text)
  const line = (text: string) => void stream.write(`${text}\n`)
  return {
    heading: (text) => line(`\n${paint('bold', text)}`),
    say: (text) => line(text),
    command: (text) => line(`  ${paint('cyan', `$ ${text}`)}`),
    answer: (lines) => {
      for (const text of lines) line(`    ${paint('dim', text)}`)
    },
    check: (holds, text) =>
      line(holds ? `  ${paint('green', '✓')} ${text}` : `  ${paint('red', '✗ not as told:')} ${text}`),
  }
}
