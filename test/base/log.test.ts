import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { createLineLog, createLog } from '../../src/base/log.ts'
import { createTestLog, recordOutput } from '../harness/logs.ts'

const module = fileURLToPath(new URL('../../src/base/log.ts', import.meta.url))

/** This code, in which `createLog` and `createLogOutput` are there, and `say` for its standard error. */
const scriptOf = (code: string) => `
    import fs from 'node:fs'
    const say = (text) => fs.writeSync(2, text)
    const { createLog, createLogOutput } = await import(${JSON.stringify(module)})
    ${code}`

/** A process that logs. */
function start(code: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', scriptOf(code)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let told = ''
  child.stderr.on('data', (piece: Buffer) => {
    told += recordOutput(piece.toString())
  })
  return { child, told: () => told }
}

/** What it logged until its end, line by line, and what it said. */
async function run(code: string) {
  const { child, told } = start(code)
  let text = ''
  child.stdout.on('data', (piece: Buffer) => {
    text += piece
  })
  const [exitCode] = await once(child, 'close')
  recordOutput(text)
  const messages = text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line).msg as string]))
  return { messages, told: told(), exitCode }
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => `${index}`)

describe('no line is lost, and all are in order,', () => {
  test.each([
    ['when the output is closed in the same turn', 'await output.close()', 0],
    ['when the process is told to exit in the same turn', 'process.exit(3)', 3],
    ['when the process is told to exit turns later', 'setTimeout(() => { log.info("50"); process.exit(3) }, 20)', 3],
    ['when there is nothing more to do', '', 0],
    ['when an error that nobody foresaw ends the process', 'throw new Error("unforeseen")', 1],
  ])('%s', async (_, end, exitCode) => {
    const lines = `for (let line = 0; line < 50; line++) log.info(String(line))`
    const ran = await run(`const output = createLogOutput(); const log = createLog(output); ${lines}; ${end}`)
    expect(ran.messages.slice(0, 50)).toEqual(numbers(50))
    expect(ran.messages.length).toBe(end.includes('"50"') ? 51 : 50)
    expect(ran.exitCode).toBe(exitCode)
  })

  test('by any of several logs', async () => {
    const ran = await run(`
      const logs = [createLog(), createLog(), createLog()]
      for (let line = 0; line < 9; line++) logs[line % 3].info(String(line))
      process.exit()`)
    expect(ran.messages.toSorted()).toEqual(numbers(9))
  })

  test('though there are more of them than fit into a pipe when the process is told to exit', async () => {
    const ran = await run(`
      const log = createLog()
      for (let line = 0; line < 2000; line++) log.info(String(line).padEnd(1000))
      process.exit()`)
    expect(ran.messages.map(Number).toSorted((one, other) => one - other)).toEqual(numbers(2000).map(Number))
  })

  test('though somebody else logs with the same library, and began before', async () => {
    const ran = await run(`
      const { pino } = await import(${JSON.stringify(createRequire(import.meta.url).resolve('pino'))})
      pino(pino.destination({ fd: 2, sync: false }))
      const log = createLog()
      for (let line = 0; line < 100; line++) log.info(String(line).padEnd(1000))
      process.exit()`)
    expect(ran.messages.map(Number).toSorted((one, other) => one - other)).toEqual(numbers(100).map(Number))
  })

  test('over many turns of the event loop', async () => {
    const ran = await run(`
      const output = createLogOutput(); const log = createLog(output)
      for (let line = 0; line < 2000; line++) {
        log.info(String(line))
        if (line % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      await output.close()`)
    expect(ran.messages).toEqual(numbers(2000))
  })
})

test('lines that come soon after one another are one write, and those that come later another', async () => {
  const ran = await run(`
    const { write } = fs
    let writes = 0
    fs.write = (...given) => { writes++; return write(...given) }
    const log = createLog()
    for (let turn = 0; turn < 3; turn++) {
      for (let line = 0; line < 100; line++) log.info(String(turn * 100 + line))
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    say(String(writes))`)
  expect(ran.messages).toEqual(numbers(300))
  expect(ran.told).toBe('3')
})

test('a line is written without another one behind it', async () => {
  const { child } = start('createLog().info("alone"); setInterval(() => {}, 1000)')
  const [piece] = await once(child.stdout, 'data')
  expect(JSON.parse(String(piece))).toMatchObject({ msg: 'alone' })
  child.kill('SIGKILL')
  await once(child, 'close')
})

test('a line that is longer than what is written at once stands whole where it belongs, whatever its letters', async () => {
  const ran = await run(`
    const log = createLog()
    const lines = ['a', 'é'.repeat(15000), 'ü€😀'.repeat(500), 'b'.repeat(70000), 'c']
    for (const line of lines) log.info(line)
    say(JSON.stringify(lines))
    setTimeout(() => process.exit(), 50)`)
  expect(ran.messages).toEqual(JSON.parse(ran.told))
})

describe('in a file', () => {
  /** What such processes log to one file at the same time, and what each of them said. */
  async function runToFile(codes: readonly string[]) {
    const folder = mkdtempSync(join(tmpdir(), 'scopegate-log-'))
    const path = join(folder, 'log')
    const file = openSync(path, 'w')
    const said = await Promise.all(
      codes.map(async (code) => {
        const options = ['--input-type=module', '-e', scriptOf(code)]
        const child = spawn(process.execPath, options, { stdio: ['ignore', file, 'pipe'] })
        let told = ''
        child.stderr?.on('data', (piece: Buffer) => {
          told += recordOutput(piece.toString())
        })
        await once(child, 'close')
        return told
      }),
    )
    closeSync(file)
    const text = recordOutput(readFileSync(path, 'utf8'))
    rmSync(folder, { recursive: true })
    const messages = text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line).msg as string]))
    return { messages, said }
  }

  test('more lines are one write, and none is lost when the process is told to exit meanwhile', async () => {
    const ran = await runToFile([
      `
      const { write } = fs
      let writes = 0
      fs.write = (...given) => { writes++; return write(...given) }
      const log = createLog()
      for (let line = 0; line < 15; line++) log.info(String(line).padEnd(900))
      await new Promise((resolve) => setTimeout(resolve, 30))
      say(String(writes))
      for (let line = 15; line < 500; line++) log.info(String(line).padEnd(900))
      process.exit()`,
    ])
    expect(ran.said).toEqual(['1'])
    expect(ran.messages.map(Number).toSorted((one, other) => one - other)).toEqual(numbers(500).map(Number))
  })

  test('of the lines of several processes none is missing', async () => {
    const code = `
      const output = createLogOutput(1, { shared: true }); const log = createLog(output)
      for (let line = 0; line < 6000; line++) {
        log.info(String(line).padEnd(300))
        if (line % 20 === 0) await new Promise((resolve) => setTimeout(() => resolve(output.flush()), 1))
      }
      await output.close()`
    const { messages } = await runToFile([code, code])
    expect(messages).toHaveLength(12_000)
  })
})

test('lines for which a slow reader leaves no room are dropped and counted, each of them', async () => {
  const { child } = start(`
    const output = createLogOutput(); const log = createLog(output)
    for (let line = 0; line < 15000; line++) {
      log.info(String(line).padEnd(1000))
      if (line % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    say('all')
    process.stdin.once('data', () => { log.info('last'); output.close() })`)
  await once(child.stderr, 'data')
  let text = ''
  let asked = false
  child.stdout.on('data', (piece: Buffer) => {
    text += piece
    if (!asked && text.includes('log lines dropped')) {
      asked = true
      child.stdin.end('x')
    }
  })
  await once(child, 'close')
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  const notes = lines.filter(({ msg }) => msg === 'log lines dropped')
  const written = lines.filter(({ msg }) => /^\d/.test(msg)).length
  expect(notes.length).toBeGreaterThan(0)
  expect(written).toBeGreaterThan(5000)
  expect(notes.reduce((sum, { lines: dropped }) => sum + dropped, 0) + written).toBe(15_000)
  expect(lines.at(-1)).toMatchObject({ msg: 'last' })
})

test('a reader that has gone away does not hold up the end, and a line after it does no harm', async () => {
  const { child, told } = start(`
    const output = createLogOutput(); const log = createLog(output)
    process.stdin.once('data', async () => {
      for (let line = 0; line < 100; line++) log.info('x'.repeat(100000))
      const begun = performance.now()
      await output.close()
      log.info('too late')
      await new Promise((resolve) => setTimeout(resolve, 20))
      say(performance.now() - begun < 2000 ? 'soon' : 'late')
      process.exit(0)
    })
    say('ready')`)
  await once(child.stderr, 'data')
  child.stdout.destroy()
  child.stdin.end('x')
  const [exitCode] = await once(child, 'close')
  expect([told(), exitCode]).toEqual(['readysoon', 0])
})

test('fifty logs listen for the exit of the process no more than one does, and warn of nothing', async () => {
  const ran = await run(`
    const before = process.listenerCount('exit')
    for (let made = 0; made < 50; made++) createLog().info(String(made))
    await new Promise((resolve) => setTimeout(resolve, 20))
    say(String(process.listenerCount('exit') - before))`)
  expect(ran.told).toBe('2')
  expect(ran.messages).toHaveLength(50)
})

test('forbidden fields are left out, but of lines whose fields are all chosen, which are the same otherwise', () => {
  const output = createTestLog()
  const log = createLog(output)
  log.info({ body: 'a', inner: { headers: 'b' } })
  expect(output.entries()).toMatchObject([{ body: '[redacted]', inner: { headers: '[redacted]' } }])
  const fields = { path: '/"quoted"\u2028\n', missing: undefined, list: ['é'], ms: 0.5 }
  log.warn(fields, 'request')
  createLineLog(log)('warn', { ...fields, body: 'a' }, 'request')
  const [, slow, fast] = output.entries()
  expect({ ...fast, time: slow?.time }).toEqual({ ...slow, body: 'a' })
  expect(Object.keys(fast ?? {}).slice(0, 2)).toEqual(['level', 'time'])
  expect(Date.parse(String(fast?.time))).toBeGreaterThanOrEqual(Date.parse(String(slow?.time)))
})

test('a line below the level of its log is not written, and one for a log that was made elsewhere goes there', () => {
  const output = createTestLog()
  createLineLog(createLog(output, 'warn'))('info', { body: 'a' }, 'request')
  expect(output.entries()).toEqual([])
  createLineLog(createLog(output).child({ from: 'elsewhere' }))('info', { route: 'a' }, 'request')
  expect(output.entries()).toMatchObject([{ level: 'info', from: 'elsewhere', route: 'a', msg: 'request' }])
})

test.runIf(existsSync('/dev/full'))('a full disk costs lines, and neither the process nor its end', async () => {
  const full = openSync('/dev/full', 'w')
  const program = `
    import { createLog, createLogOutput } from ${JSON.stringify(module)}
    const output = createLogOutput(); const log = createLog(output)
    for (let line = 0; line < 3; line++) {
      log.info('lost')
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    process.stderr.write('alive')
    log.info('last')
    await output.close()
    process.exit(0)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', full, 'pipe'] })
  closeSync(full)
  let told = ''
  child.stderr?.on('data', (piece) => {
    told += piece
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
  const [exitCode] = await once(child, 'close')
  clearTimeout(timer)
  expect([told.includes('alive'), exitCode]).toEqual([true, 0])
})

test('once nobody reads it any more, nothing is tried for the log, and the process goes on', async () => {
  const { child, told } = start(`
    const { write } = fs
    let writes = 0
    fs.write = (...given) => { writes++; return write(...given) }
    const log = createLog()
    await new Promise((resolve) => setTimeout(resolve, 300))
    for (let line = 0; line < 10; line++) {
      log.info('unread')
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    say(String(writes)); process.exit(3)`)
  child.stdout.destroy()
  const [exitCode] = await once(child, 'close')
  expect([told(), exitCode]).toEqual(['1', 3])
})
