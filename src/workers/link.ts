/** One end of the channel between a primary and a worker: a ChildProcess, or the worker's own `process`. */
export interface Port {
  send?(message: unknown, handle: undefined, options: undefined, callback: (error: Error | null) => void): boolean
  on(event: 'message', listener: (message: unknown) => void): unknown
  once(event: 'disconnect', listener: () => void): unknown
}

/** Questions and answers, in both directions. */
export interface Link<Question> {
  /** Rejects if the other side has no answer: it has ended, or something went wrong there. */
  ask(question: Question): Promise<unknown>
}

type Message =
  | { readonly id: number; readonly question: unknown }
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly failed: true }

interface Pending {
  resolve(answer: unknown): void
  reject(error: Error): void
}

/** Asks over a port, and answers what is asked over it. */
export function createLink<Ours, Theirs>(port: Port, answer: (question: Theirs) => unknown): Link<Ours> {
  const pending = new Map<number, Pending>()
  let lastId = 0
  const fail = (id: number, why: string) => {
    pending.get(id)?.reject(new Error(why))
    pending.delete(id)
  }
  const send = (message: Message, onFailure = () => {}) => {
    const sent = port.send?.(message, undefined, undefined, (error) => void (error && onFailure()))
    if (sent === undefined) onFailure()
  }
  port.on('message', (message) => void take(message as Message))
  port.once('disconnect', () => {
    for (const id of pending.keys()) fail(id, 'the other process has ended')
  })

  async function take(message: Message): Promise<void> {
    const { id } = message
    if ('question' in message) {
      try {
        send({ id, answer: await answer(message.question as Theirs) })
      } catch {
        send({ id, failed: true })
      }
    } else if ('answer' in message) {
      pending.get(id)?.resolve(message.answer)
      pending.delete(id)
    } else fail(id, 'the other process failed')
  }

  return {
    ask(question) {
      lastId += 1
      const id = lastId
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      pending.set(id, { resolve, reject })
      send({ id, question }, () => fail(id, 'the other process is gone'))
      return promise
    },
  }
}
