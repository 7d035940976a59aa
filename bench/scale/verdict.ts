/** One figure of a case, beside what it must be. */
export interface Verdict {
  readonly what: string
  readonly figure: string
  /** Absent for a figure that is only told. */
  readonly must?: string
  readonly kept: boolean
  /** How it came about. */
  readonly more?: string
}

/** A figure that nothing is asked of. */
export function told(what: string, figure: string, more?: string): Verdict {
  return { what, figure, kept: true, ...(more !== undefined && { more }) }
}

export interface Bound {
  readonly what: string
  readonly value: number
  readonly must: number
  readonly write: (value: number) => string
  readonly more?: string
}

/** Kept if the value is no more than it must be. */
export function atMost(bound: Bound): Verdict {
  return verdict(bound, '≤', bound.value <= bound.must)
}

/** Kept if the value is no less than it must be. */
export function atLeast(bound: Bound): Verdict {
  return verdict(bound, '≥', bound.value >= bound.must)
}

function verdict({ what, value, must, write, more }: Bound, sign: string, kept: boolean): Verdict {
  return { what, figure: write(value), must: `${sign} ${write(must)}`, kept, ...(more !== undefined && { more }) }
}

/** One line. */
export function formatVerdict(name: string, { what, figure, must, kept, more }: Verdict): string {
  const word = must === undefined ? '    ' : kept ? 'pass' : 'FAIL'
  return [`${word}  ${name}: ${what}: ${figure}`, must && `(must ${must})`, more && `[${more}]`]
    .filter(Boolean)
    .join(' ')
}

export const asRatio = (value: number) => value.toFixed(3)
export const asMebibytes = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(1)} MiB`
export const asKibibytes = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`
export const asMicroseconds = (value: number) => `${value.toFixed(1)} µs`
export const asCount = (value: number) => value.toLocaleString('en')
