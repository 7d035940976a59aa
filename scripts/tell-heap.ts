/**
 * Preloaded into a gateway of the soak or of bench/scale, which runs with `--expose-gc`: on SIGUSR2 garbage is collected,
 * and a line tells how many bytes of the heap are alive, and how many outside of it that the heap holds.
 */
import { setTimeout as pause } from 'node:timers/promises'

let told = 0

process.on('SIGUSR2', async () => {
  // What is registered for finalization goes only after a turn of the loop, and what it held only with the next collection.
  for (let turn = 0; turn < 3; turn++) {
    globalThis.gc?.()
    await pause(50)
  }
  const { heapUsed: used, external } = process.memoryUsage()
  const line = { msg: 'heap', number: ++told, collected: globalThis.gc !== undefined, used, external }
  process.stdout.write(`${JSON.stringify(line)}\n`)
})
