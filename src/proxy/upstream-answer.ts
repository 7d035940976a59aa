import type { IncomingMessage } from 'node:http'
import { givingBack, type OnWritten } from './body-memory.ts'

/** An upstream's answer, whichever client has got it. Its body waits until it is read. */
export interface UpstreamAnswer {
  readonly statusCode: number
  readonly statusMessage: string
  readonly httpVersion: string
  /** Names and values, alternating, as they came. */
  readonly rawHeaders: string[]
  /** Hands the body over as it comes. Called once. */
  read(reader: AnswerReader): void
  pause(): void
  resume(): void
  /** Cuts it off, and its connection with it. */
  destroy(): void
}

/** Told of a body: of its pieces, and then of one of the two ends. */
export interface AnswerReader {
  /** `onWritten` lets go of its memory; given where that is worth it. */
  onData(chunk: Buffer, onWritten: OnWritten | undefined): void
  /** It is whole. */
  onEnd(): void
  /** It is not, and nothing more will come. */
  onBroken(): void
}

/** The answer that Node's client has got. */
export function answerOf(incoming: IncomingMessage): UpstreamAnswer {
  incoming.on('error', ignore)
  const { statusCode = 0, statusMessage = '', httpVersion, rawHeaders } = incoming
  return {
    ...{ statusCode, statusMessage, httpVersion, rawHeaders },
    read({ onData, onEnd, onBroken }) {
      // Who watches all requests of the process may look at its body too.
      const isOurs = () => incoming.listenerCount('data') === 1
      incoming.on('data', (chunk: Buffer) => onData(chunk, isOurs() ? givingBack(chunk) : undefined))
      incoming.on('end', () => incoming.complete && onEnd())
      incoming.on('close', () => incoming.complete || onBroken())
    },
    pause: () => void incoming.pause(),
    resume: () => void incoming.resume(),
    destroy: () => void incoming.destroy(),
  }
}

function ignore(): void {}
