/** To be called back once a piece of a body has been written, or could not be. */
export type OnWritten = (error?: Error | null) => void

/** Below this, what is left behind is little, and may be a part of what Node shares among all that is small. */
const leastBytes = 16 * 1024

/**
 * Gives a piece's memory back as soon as it has been written. Left to the garbage collector the pieces take room until
 * there are 64 MiB of them, for which V8 then looks through its whole heap. `undefined` if it is small, or has no memory
 * of its own. Nobody else may hold it.
 */
export function givingBack(piece: Buffer): OnWritten | undefined {
  const memory = ownMemory(piece)
  return memory && ((error) => void (error ?? memory.transfer(0)))
}

/** What a piece has to itself, if it is worth it. */
function ownMemory(piece: Buffer): ArrayBuffer | undefined {
  if (piece.length < leastBytes) return undefined
  const { buffer, length } = piece
  return length === buffer.byteLength && buffer instanceof ArrayBuffer ? buffer : undefined
}

/**
 * Does the same for the pieces of one body that are cut out of what was read, in its order: once the last one out of the
 * same memory has been written. Told of every piece, and of what was read last.
 */
export function createGivingBackShared(): (piece: Buffer, read: Buffer | undefined) => OnWritten | undefined {
  let shared: SharedMemory | undefined
  return (piece, read) => {
    if (!(read || shared)) return undefined
    if (piece.buffer !== shared?.memory) {
      // None will come of the one before.
      shared?.close()
      const memory = read && ownMemory(read)
      shared = memory && memory === piece.buffer ? shareMemory(memory) : undefined
    }
    return shared?.take()
  }
}

interface SharedMemory {
  readonly memory: ArrayBuffer
  /** One more piece has it. */
  take(): OnWritten
  /** No more pieces will. */
  close(): void
}

function shareMemory(memory: ArrayBuffer): SharedMemory {
  let holders = 1
  function release(): void {
    holders--
    if (holders === 0) memory.transfer(0)
  }
  const onWritten: OnWritten = (error) => void (error ?? release())
  return {
    memory,
    take() {
      holders++
      return onWritten
    },
    close: release,
  }
}
