import type { Config } from '../config/load.ts'
import type { Task } from './messages.ts'

/**
 * The part of a configuration that is one worker's: what is limited for all of them is divided, and the admin listener is the
 * primary's.
 */
export function shareOf({ admin, ...config }: Config, { worker, workers }: Pick<Task, 'worker' | 'workers'>): Config {
  const share = (whole: number) => Math.floor(whole / workers) + (worker <= whole % workers ? 1 : 0)
  const listeners = Object.entries(config.listeners).map(([name, { limits, ...listener }]) => {
    return [name, { ...listener, limits: { ...limits, connections: share(limits.connections) } }]
  })
  return { ...config, listeners: Object.fromEntries(listeners) }
}

/** @throws an error if a listener takes so few connections that there is none for one of the workers */
export function requireShares({ listeners }: Config, workers: number): void {
  for (const [name, { limits }] of Object.entries(listeners))
    if (limits.connections < workers)
      throw new Error(
        `the listener ${name} takes ${limits.connections} connections (limits.connections), too few for ${workers} workers`,
      )
}
