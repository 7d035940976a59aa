import { fstatSync } from 'node:fs'
import { type DestinationStream, type Logger, pino } from 'pino'

export type Log = Logger

/** Fields that nobody logs on purpose; the second net, should one slip in. */
const never = ['authorization', 'access_token', 'client_secret', 'client_assertion', 'headers', 'body', 'password']

/** What may wait in memory for a slow reader of the log. Past it lines are dropped, and counted. */
const mostWaiting = 8 * 1024 * 1024

/** Where a log's lines go. */
export interface LogOutput extends DestinationStream {
  /** Writes what still waits for other lines. */
  flush(): void
  /**
   * Writes what is left and closes the output. Does not wait for ever: whoever reads it may have stalled or died, and the
   * output's own hook at the exit of the process would wait just so; it is gone after this.
   */
  close(): Promise<void>
}

const longestWait = 1000

/** How long a line waits for others, in milliseconds. */
const longestGathering = 10
/** Bytes that are written at once: of more, an exit of the process could cut off a part. */
const mostAtOnce = 16 * 1024
/** What a pipe takes in one piece, whoever else writes to it (PIPE_BUF of Linux). */
const wholeInPipe = 4096

/**
 * Standard output, or standard error, written without making anybody wait. Lines that come soon after one another are
 * written together: to write each by itself costs more than all else about it. Where other processes write to the same place
 * (`shared`), lines do not end up within theirs.
 */
export function createLogOutput(fd: 1 | 2 = 1, { shared = false } = {}): LogOutput {
  // What others write to the same file is never within a write to it.
  const most = shared && !isFile(fd) ? wholeInPipe : mostAtOnce
  const piece = Buffer.allocUnsafeSlow(most)
  let size = 0
  let dropped = 0
  let closed = false
  let timer: NodeJS.Timeout | undefined
  const send = () => {
    clearTimeout(timer)
    if (size > 0) output.write(piece.toString('utf8', 0, size))
    size = 0
  }
  const pass = (isEnd = false) => {
    unpassed.delete(pass)
    // Nobody is there any more to whom a thread could tell that it has written.
    if (isEnd) Object.assign(output, { sync: true })
    send()
  }
  const gather = (line: string) => {
    const more = Buffer.byteLength(line)
    if (size + more > most) send()
    if (more > most) {
      output.write(line)
      return
    }
    if (size === 0) {
      timer = setTimeout(() => pass(), longestGathering).unref()
      unpassed.add(pass)
    }
    size += piece.write(line, size)
  }
  passAtExit()
  const open = () => {
    const opened = pino.destination({ fd, sync: false, maxLength: mostWaiting, maxWrite: most })
    opened.on('drop', (lines: string) => {
      dropped += lines.split('\n').length - 1
    })
    opened.on('drain', () => {
      if (dropped > 0) opened.write(`{"level":"warn","lines":${dropped},"msg":"log lines dropped"}\n`)
      dropped = 0
    })
    // A full disk costs lines of the log, and not the process: left alone, the output would end it, and then try for ever, at
    // its exit, to write what it could not. Where nobody reads any more (EPIPE), it falls silent by itself.
    opened.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (opened !== output || code === 'EPIPE') return
      dropped++
      output = open()
      opened.destroy()
    })
    return opened
  }
  let output = open()
  return {
    write(line) {
      if (!closed) gather(line)
    },
    flush: () => pass(),
    async close() {
      closed = true
      pass()
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, longestWait)
      output.once('close', resolve)
      output.end()
      await promise
      clearTimeout(timer)
      process.removeAllListeners('exit')
    },
  }
}

function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile()
  } catch {
    return false
  }
}

/** What passes on the lines of each output that has gathered some. */
const unpassed = new Set<(isEnd: boolean) => void>()

/** Ahead of the hook, one for all outputs, by which they write what they have when the process ends. */
function passAtExit(): void {
  if (!process.listeners('exit').includes(passAll)) process.prependListener('exit', passAll)
}

function passAll(): void {
  for (const pass of unpassed) pass(true)
}

/** Where the logs that are made here write, and what stands in each of their lines. */
const destinations = new WeakMap<Log, { readonly destination: Destination; readonly always: string }>()

type Destination = DestinationStream & Partial<LogOutput>

/** Lines of JSON, one per event, to standard output or to `destination`; in each of them stand these fields. */
export function createLog(
  destination: Destination = createLogOutput(),
  level = 'info',
  fields: Readonly<Record<string, number>> = {},
): Log {
  const log = pino(
    {
      level,
      base: { ...fields },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: never.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
    },
    destination,
  )
  const always = Object.entries(fields).map(([name, value]) => `"${name}":${value},`)
  destinations.set(log, { destination, always: always.join('') })
  return log
}

/** Writes one line of a log. There must be a field. */
export type LineLog = (level: 'info' | 'warn' | 'error', fields: object, message: string) => void

/**
 * For lines whose fields are all chosen one by one, as those of requests are. Of a log that was made here they are the same
 * lines, written past the second net, which costs more than all else about them.
 */
export function createLineLog(log: Log): LineLog {
  const made = destinations.get(log)
  if (!made) return (level, fields, message) => log[level](fields, message)
  const { destination, always } = made
  return (level, fields, message) => {
    if (!log.isLevelEnabled(level)) return
    const time = isoTime(Date.now())
    const members = JSON.stringify(fields).slice(1, -1)
    destination.write(`{"level":"${level}","time":"${time}",${always}${members},"msg":${JSON.stringify(message)}}\n`)
  }
}

let lastTime = { at: 0, text: '' }

/** Many lines are of the same millisecond. */
function isoTime(at: number): string {
  if (at !== lastTime.at) lastTime = { at, text: new Date(at).toISOString() }
  return lastTime.text
}

/**
 * An error as the log may show it: names and codes along its causes, never their messages, which can quote what was
 * parsed (`JSON.parse` quotes the text, and that may be a token).
 */
export function errorTrail(error: unknown): string {
  const names: string[] = []
  for (let next = error, depth = 0; next instanceof Error && depth < 5; next = next.cause, depth++) {
    const code = (next as NodeJS.ErrnoException).code
    names.push(typeof code === 'string' && code !== next.name ? `${next.name} ${code}` : next.name)
  }
  return names.join(' < ')
}

/** Where an error nobody foresaw came from: the frames of its stack, without its message. */
export function errorFrames(error: unknown): string[] {
  if (!(error instanceof Error)) return []
  return (error.stack ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('at '))
    .slice(0, 8)
}
