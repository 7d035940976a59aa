/** A YAML value in which `${env:…}` or `${file:…}` stood: read anew at each call, a changed file included. */
export class Substituted {
  readonly read: () => string
  /** True if a file has a part in it: such a value is for secrets alone. */
  readonly fromFile: boolean
  /** True if a part of it stands in the configuration itself, as the default of a variable. */
  readonly hasDefault: boolean
  /** How it stands in the file, without defaults: what faults show instead of a value. */
  readonly written: string

  constructor(
    read: () => string,
    {
      fromFile,
      hasDefault,
      written = '${…}',
    }: { readonly fromFile: boolean; readonly hasDefault: boolean; readonly written?: string },
  ) {
    this.read = read
    this.fromFile = fromFile
    this.hasDefault = hasDefault
    this.written = written
  }
}
