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

/** How long a line waits for others, in milliseconds, and how many characters wait together at the most. */
const gathering = { time: 10, most: 64 * 1024 }

/**
 * Standard output, or standard error, written without making anybody wait. Lines that come soon after one another are
 * written together: to write each by itself costs more than all else about it.
 */
export function createLogOutput(fd: 1 | 2 = 1): LogOutput {
  let gathered = ''
  let dropped = 0
  const pass = () => {
    const lines = gathered
    gathered = ''
    if (lines !== '') output.write(lines)
  }
  // Ahead of the hook by which the output writes what it has when the process ends.
  process.on('exit', pass)
  const output = pino.destination({ fd, sync: false, maxLength: mostWaiting })
  output.on('drop', (lines: string) => {
    dropped += lines.split('\n').length - 1
  })
  output.on('drain', () => {
    if (dropped > 0)
      output.write(`{"level":"warn","lines":${dropped},"msg":"log lines dropped"}
`)
    dropped = 0
  })
  return {
    write(line) {
      if (gathered === '') setTimeout(pass, gathering.time).unref()
      gathered += line
      if (gathered.length >= gathering.most) pass()
    },
    flush: pass,
    async close() {
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

/** Where the logs that are made here write. */
const destinations = new WeakMap<Log, DestinationStream>()

/** Lines of JSON, one per event, to standard output or to `destination`. */
export function createLog(destination: DestinationStream = createLogOutput(), level = 'info'): Log {
  const log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: never.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
    },
    destination,
  )
  destinations.set(log, destination)
  return log
}

/** Writes one line of a log; there must be a field. */
export type LineLog = (level: 'info' | 'warn' | 'error', fields: object, message: string) => void

/**
 * For lines whose fields are all chosen one by one, as those of requests are. Of a log that was made here they are the same
 * lines, written past the second net, which costs more than all else about them.
 */
export function createLineLog(log: Log): LineLog {
  const destination = destinations.get(log)
  if (!destination) return (level, fields, message) => log[level](fields, message)
  return (level, fields, message) => {
    if (!log.isLevelEnabled(level)) return
    const members = JSON.stringify(fields).slice(1, -1)
    destination.write(`{"level":"${level}","time":"${isoTime()}",${members},"msg":${JSON.stringify(message)}}\n`)
  }
}

let lastTime = { at: 0, text: '' }

/** Many lines are of the same millisecond. */
function isoTime(): string {
  const at = Date.now()
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
