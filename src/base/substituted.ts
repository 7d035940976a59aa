/** A YAML value in which `${env:…}` or `${file:…}` stood: read anew at each call, a changed file included. */
export class Substituted {
  readonly read: () => string
  /** True if a file has a part in it: such a value is for secrets alone. */
  readonly fromFile: boolean

  constructor(read: () => string, fromFile: boolean) {
    this.read = read
    this.fromFile = fromFile
  }
}
