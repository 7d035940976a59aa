/** A YAML value in which `${env:…}` or `${file:…}` stood: read anew at each call, a changed file included. */
export class Substituted {
  readonly read: () => string
  /** True if a file has a part in it: such a value is for secrets alone. */
  readonly fromFile: boolean
  /** True if a part of it stands in the configuration itself, as the default of a variable. */
  readonly hasDefault: boolean
  /** How it stands in the file, without defaults: what faults show instead of a value. */
  readonly written: string
  /** True if a file of it was gone or empty when it was read last, so that its last value was given. */
  readonly isStale: () => boolean

  constructor(
    read: () => string,
    {
      fromFile,
      hasDefault,
      written = '${…}',
      isStale = () => false,
    }: {
      readonly fromFile: boolean
      readonly hasDefault: boolean
      readonly written?: string
      readonly isStale?: () => boolean
    },
  ) {
    this.read = read
    this.fromFile = fromFile
    this.hasDefault = hasDefault
    this.written = written
    this.isStale = isStale
  }
}
