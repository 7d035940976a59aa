/** One contender in one round. */
export interface Measurement {
  readonly perSecond: number
  /** Microseconds of CPU for each request. */
  readonly cpu: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  /** Bytes. */
  readonly memory: number
  /** What part of its core it used. */
  readonly busy: number
}

/** By the name of the contender. */
export type Round = ReadonlyMap<string, Measurement>

const headings = ['', 'requests/s', 'CPU µs', 'to R', 'least–most', 'p50 ms', 'p99 ms', 'PSS MiB', 'busy']

/** The medians over the rounds; ratios are taken within each round before. */
export function formatTable(rounds: readonly Round[], reference: string, names: readonly string[]): string {
  const rows = names.map((name) => {
    const of = (figure: keyof Measurement) => median(rounds.map((round) => round.get(name)?.[figure] ?? Number.NaN))
    const ratios = ratiosOf(rounds, name, reference)
    return [
      name,
      of('perSecond').toFixed(0),
      of('cpu').toFixed(1),
      median(ratios).toFixed(2),
      spread(ratios),
      of('p50').toFixed(2),
      of('p99').toFixed(2),
      (of('memory') / 1024 ** 2).toFixed(0),
      `${(of('busy') * 100).toFixed(0)} %`,
    ]
  })
  return layOut(headings, rows)
}

/** A table in Markdown that can be read as it stands. */
export function layOut(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, headings.map((_, column) => (column === 0 ? '---' : '---:')), ...rows]
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const padded = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
  return lines.map((line) => `| ${line.map(padded).join(' | ')} |`).join('\n')
}

/** One line: CPU for each request against another contender's. */
export function formatPair(rounds: readonly Round[], name: string, other: string): string {
  const ratios = ratiosOf(rounds, name, other)
  return `${name} to ${other}: ${median(ratios).toFixed(2)} (${spread(ratios)})`
}

function ratiosOf(rounds: readonly Round[], name: string, other: string): number[] {
  return rounds.map((round) => (round.get(name)?.cpu ?? Number.NaN) / (round.get(other)?.cpu ?? Number.NaN))
}

export function spread(ratios: readonly number[]): string {
  return `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = (sorted.length - 1) / 2
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2
}
