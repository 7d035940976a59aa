let waiting: (() => void)[] = []

/**
 * Calls back at the end of this turn of the event loop: all who wait for it, with nothing in between. What they write goes
 * out together then, and whoever reads it on the same machine is woken once, and not for each. None may throw.
 */
export function atTurnEnd(callback: () => void): void {
  if (waiting.push(callback) === 1) setImmediate(callAll)
}

function callAll(): void {
  const callbacks = waiting
  waiting = []
  for (const callback of callbacks) callback()
}
