/** One thing that is wrong with the configuration file, and where. Lines and columns count from 1. */
export interface Fault {
  /** The included file that it is in; missing for the configuration itself. */
  readonly file?: string
  readonly line: number
  readonly column: number
  /** Such as `routes[0].require.scopes`; empty for the document as a whole. */
  readonly path: string
  /** What is wrong, and what would be right. */
  readonly message: string
}

/** The line that `check` and `serve` print, for a configuration that is called `file`: `file:line:column: path: message`. */
export function formatFault(file: string, fault: Fault): string {
  const place = `${fault.file ?? file}:${fault.line}:${fault.column}`
  return fault.path === '' ? `${place}: ${fault.message}` : `${place}: ${fault.path}: ${fault.message}`
}

/** A configuration that cannot be served. Holds every fault at once; its message is their lines. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly file: string
  readonly faults: readonly Fault[]

  constructor(file: string, faults: readonly Fault[]) {
    super(faults.map((fault) => formatFault(file, fault)).join('\n'))
    this.file = file
    this.faults = faults
  }
}

/** A path as people write it: `routes[0].require`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    const name = String(key)
    if (/^[\w-]+$/.test(name)) return text === '' ? name : `${text}.${name}`
    return `${text}[${JSON.stringify(name)}]`
  }, '')
}
