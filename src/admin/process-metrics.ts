import { collectDefaultMetrics, Registry } from 'prom-client'

/** What is measured of a process is measured once, however many servers it has: its observers cannot be ended. */
let processRegistry: Registry | undefined

/** Memory, CPU, event loop, garbage collection and open files of this process, as text for Prometheus. */
export function processMetrics(): Promise<string> {
  if (!processRegistry) {
    processRegistry = new Registry()
    collectDefaultMetrics({ register: processRegistry })
  }
  return processRegistry.metrics()
}
