import { type Fault, formatPath } from './config-error.ts'
import { readIncludedFiles } from './included-files.ts'
import { tree } from './raw-values.ts'
import type { Finding } from './references.ts'
import { readSource, type Source } from './source.ts'
import type { Path, YamlDocument } from './yaml-document.ts'

/** A configuration and the files that it includes, as one: their routes stand behind its own. */
export interface Sources extends Pick<YamlDocument, 'fault' | 'source'> {
  readonly values: unknown
  readonly faults: readonly Fault[]
  /** What is wrong with `include`, by its path in the whole. */
  readonly findings: readonly Finding[]
  readonly included: readonly Source[]
  /** What messages call a route, by its place in the whole. */
  routeLabel(index: number): string
}

/** A place in one of the files. */
interface Place {
  readonly source: Source
  readonly path: Path
}

/** Takes in what a configuration includes: the files as they are now, or what they were. */
export function gatherSources(
  main: Source,
  env: Parameters<typeof readIncludedFiles>[1],
  asTheyWere?: readonly Pick<Source, 'file' | 'text'>[],
): Sources {
  const { sources: included, findings } = asTheyWere
    ? { sources: asTheyWere.map(({ file, text }) => readSource(text, { file, env })), findings: [] }
    : readIncludedFiles(main, env)
  const own = tree(main.values).routes
  const isList = own === undefined || Array.isArray(own)
  const routes = [main, ...(isList ? included : [])].flatMap(routesOf)
  const placeOf = (path: Path): Place => {
    const [first, index, ...rest] = path
    const route = first === 'routes' && typeof index === 'number' ? routes[index] : undefined
    return route ? { source: route.source, path: ['routes', route.index, ...rest] } : { source: main, path }
  }
  const fault: YamlDocument['fault'] = (path, message, at) => {
    const place = placeOf(path)
    return told(place.source, main, place.source.document.fault(place.path, message, at))
  }
  return {
    values:
      isList && included.length > 0 ? { ...tree(main.values), routes: routes.map(({ value }) => value) } : main.values,
    faults: [...main.faults, ...included.flatMap((source) => faultsOf(source, main))],
    findings,
    included,
    fault,
    source(path) {
      const place = placeOf(path)
      return place.source.document.source(place.path)
    },
    routeLabel(index) {
      const { source, path } = placeOf(['routes', index])
      const name = formatPath(path)
      if (included.length === 0) return name
      const { line, column } = source.document.fault(path, '')
      return `${name} of ${source.file}:${line}:${column}`
    },
  }
}

function routesOf(source: Source) {
  const { routes } = tree(source.values)
  return Array.isArray(routes) ? routes.map((value: unknown, index) => ({ source, index, value })) : []
}

function told(source: Source, main: Source, fault: Fault): Fault {
  return source === main ? fault : { ...fault, file: source.file }
}

/** An included file holds routes alone: what decides whom the gateway trusts, and as whom it speaks, stays in one place. */
function faultsOf(source: Source, main: Source): Fault[] {
  const { values, document, faults } = source
  const { routes, ...others } = tree(values)
  const unknown = Object.keys(others).map((key) => {
    const message =
      key === 'include'
        ? `stands in a file that is included itself; only ${main.file} includes others`
        : `cannot stand in an included file, which holds routes alone; it belongs in ${main.file}`
    return document.fault([key], message, 'key')
  })
  const lacking = document.usable && !Array.isArray(routes) && unknown.length === 0
  const missing = lacking
    ? [document.fault(['routes'], 'must be a list of routes: it is what this file is included for')]
    : []
  return [...faults, ...unknown, ...missing].map((fault) => told(source, main, fault))
}
