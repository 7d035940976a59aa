/** A YAML value in which `${env:…}` or `${file:…}` stood: read anew at each call, a changed file included. */
export class Substituted {
  readonly read: () => string
  /** True if a file has a part in it: such a value is for secrets alone. */
  readonly fromFile: boolean
  /** True if a part of it stands in the configuration itself, as the default of a variable. */
  readonly hasDefault: boolean

  constructor(
    read: () => string,
    { fromFile, hasDefault }: { readonly fromFile: boolean; readonly hasDefault: boolean },
  ) {
    this.read = read
    this.fromFile = fromFile
    this.hasDefault = hasDefault
  }
}
