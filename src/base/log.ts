import { type DestinationStream, type Logger, pino } from 'pino'

export type Log = Logger

/** Fields that nobody logs on purpose; the second net, should one slip in. */
const never = ['authorization', 'access_token', 'client_secret', 'client_assertion', 'headers', 'body', 'password']

/** What may wait in memory for a slow reader of the log. Past it lines are dropped, and counted. */
const mostWaiting = 8 * 1024 * 1024

/** What a pipe takes in one piece (PIPE_BUF of Linux), whoever else writes to it. */
const wholeInPipe = 4096

export interface LogOutputOptions {
  /** True if other processes write to the same place: then lines must not end up within one another. */
  readonly shared?: boolean
}

/** Standard output, or standard error, written without making anybody wait. */
export function createLogOutput(fd: 1 | 2 = 1, { shared = false }: LogOutputOptions = {}) {
  const output = pino.destination({ fd, sync: false, maxLength: mostWaiting, ...(shared && { maxWrite: wholeInPipe }) })
  let dropped = 0
  output.on('drop', () => {
    dropped += 1
  })
  output.on('drain', () => {
    if (dropped > 0)
      output.write(`{"level":"warn","lines":${dropped},"msg":"log lines dropped"}
`)
    dropped = 0
  })
  return output
}

const longestWait = 1000

/**
 * Writes what is left and closes the output. Does not wait for ever: whoever reads it may have stalled or died, and the
 * output's own hook at the exit of the process would wait just so; it is gone after this.
 */
export async function closeLogOutput(output: ReturnType<typeof createLogOutput>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, longestWait)
  output.once('close', resolve)
  output.end()
  await promise
  clearTimeout(timer)
  process.removeAllListeners('exit')
}

/** Lines of JSON, one per event, to standard output or to `destination`. */
export function createLog(destination: DestinationStream = createLogOutput(), level = 'info'): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: never.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
    },
    destination,
  )
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
