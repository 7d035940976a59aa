const stopSignals = ['SIGTERM', 'SIGINT'] as const

/** The first SIGTERM or SIGINT stops, the second one ends the process at once. */
export function stopOnSignal(stop: () => void, endAtOnce: () => void = () => process.exit(1)): void {
  const first = () => {
    for (const signal of stopSignals) process.removeAllListeners(signal).once(signal, endAtOnce)
    stop()
  }
  for (const signal of stopSignals) process.once(signal, first)
}
