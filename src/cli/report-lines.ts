import { createReadStream } from 'node:fs'

/** A line of the log is a few hundred bytes; what is longer than this is none, and is not kept to find out. */
const longestLine = 1024 * 1024

/**
 * Hands over each line of a file, or of standard input for `-`, and `undefined` for one that is too long.
 * @throws {Error} if the file cannot be read
 */
export async function readLines(file: string, take: (line: string | undefined) => void): Promise<void> {
  const stream = file === '-' ? process.stdin : createReadStream(file)
  stream.setEncoding('utf8')
  let rest = ''
  let isTooLong = false
  const finish = (piece: string) => {
    const isLong = isTooLong || rest.length + piece.length > longestLine
    take(isLong ? undefined : rest + piece)
    rest = ''
    isTooLong = false
  }
  try {
    for await (const chunk of stream as AsyncIterable<string>) {
      const [first = '', ...more] = chunk.split('\n')
      const last = more.pop()
      if (last === undefined) {
        isTooLong ||= rest.length + first.length > longestLine
        rest = isTooLong ? '' : rest + first
        continue
      }
      finish(first)
      for (const line of more) finish(line)
      rest = last
    }
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    const why = { ENOENT: 'does not exist', EISDIR: 'is a folder' }[code] ?? `cannot be read (${code})`
    throw new Error(`${file === '-' ? 'standard input' : file} ${why}`, { cause: error })
  }
  if (isTooLong || rest !== '') finish('')
}
