import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type OutputChunk, rolldown } from 'rolldown'

const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * Writes the program, with all that it needs of libraries, to `cli` in a folder, and their licences beside it: one file for each
 * part that is loaded by itself, as to find and read hundreds of files is most of a start. Not minified, so that what a log
 * tells of an error can be read.
 *
 * It is CommonJS: an ECMAScript module that imports `node:http` or `node:fs` has Node look at all that these export, and thereby
 * load what nobody uses, such as its own `fetch` and `WebSocket`.
 * @throws {Error} if something would have to be there beside it, or a licence is not to be found
 */
export async function bundleProgram(folder: string): Promise<void> {
  const bundle = await rolldown({
    cwd: root,
    input: { main: 'src/cli/main.ts' },
    platform: 'node',
    onLog(_level, log) {
      throw new Error(log.message)
    },
  })
  const { output } = await bundle.write({
    dir: join(folder, 'cli'),
    cleanDir: true,
    format: 'cjs',
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
    comments: false,
  })
  await bundle.close()
  const chunks = output.filter((part) => part.type === 'chunk')
  requireWhole(chunks)
  writeFileSync(join(folder, 'cli/package.json'), '{ "type": "commonjs" }\n')
  writeFileSync(join(folder, 'LICENSES.txt'), licencesOf(chunks))
}

/** `debug`, which two libraries load and nobody turns on, tries for it and goes without. */
const optional = 'supports-color'

/** Who installs it elsewhere, or copies it, has these files and Node. */
function requireWhole(chunks: readonly OutputChunk[]): void {
  const own = new Set(chunks.map(({ fileName }) => `./${fileName}`))
  for (const { code, fileName } of chunks)
    for (const [, name = ''] of code.matchAll(/\b(?:require|import)\(["']([^"']+)["']\)/g))
      if (!isBuiltin(name) && !own.has(name) && name !== optional) throw new Error(`${fileName} would need ${name}`)
}

/** The licences of the libraries that are in there, as they ask of whoever passes them on. */
function licencesOf(chunks: readonly OutputChunk[]): string {
  const files = chunks.flatMap(({ moduleIds }) => moduleIds.map((id) => relative(root, id)))
  const libraries = new Set(files.flatMap((file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []))
  const texts = [...libraries].sort().map((library) => {
    const { name, version } = JSON.parse(readFileSync(join(root, library, 'package.json'), 'utf8'))
    const [file] = globSync('{licen[cs]e,LICEN[CS]E}*', { cwd: join(root, library) })
    if (file === undefined) throw new Error(`${library} has no licence`)
    return `${name} ${version}\n\n${readFileSync(join(root, library, file), 'utf8').trim()}\n`
  })
  return `The program in cli/ holds parts of these libraries.\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`
}
