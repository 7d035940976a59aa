#!/usr/bin/env node
// Looks at the version of Node before anything else is loaded: older ones drop headers past a count in silence, which
// can hide a Transfer-Encoding, and cannot load the rest of this program anyway.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major > 24 || (major === 24 && minor >= 21)) {
  void start()
} else {
  process.stderr.write(
    `scopegate needs Node 24.21 or newer in the 24 line, or 26 and newer; this is ${process.versions.node}\n`,
  )
  process.exitCode = 1
}

// No `await` outside of it: the built program is of CommonJS modules (scripts/bundle.ts).
async function start(): Promise<void> {
  const { keepCompiledCode } = await import('./compile-cache.ts')
  keepCompiledCode()
  const { runProgram } = await import('./program.ts')
  await runProgram(process.argv)
}

export {}
