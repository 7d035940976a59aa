/** What Redis does in one step. Each works on one key, so that a cluster runs it where that key is. */

/** The value and the milliseconds that it has left. */
export const readEntry = "return {redis.call('get', KEYS[1]), redis.call('pttl', KEYS[1])}"

/** Writes a value (1) for so many milliseconds (2), unless the one that is there lasts longer. */
export const writeUnlessShorter = `
if redis.call('pttl', KEYS[1]) > tonumber(ARGV[2]) then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return 1`

/** Removes a key that still has this value (1). */
export const removeIfSame =
  "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

/** Takes a lease for the holder (1) for so many milliseconds (2): 1, or 0 if another one has it. */
export const takeLease = "if redis.call('set', KEYS[1], ARGV[1], 'nx', 'px', ARGV[2]) then return 1 end return 0"

/** Extends the lease of the holder (1) to so many milliseconds (2) from now: 1, or 0 if it has it no more. */
export const extendLease =
  "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"

/** Gives the lease of the holder (1) back, and tells so on a channel (2) with a message (3). */
export const giveLeaseBack = `
if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end
return redis.call('publish', ARGV[2], ARGV[3])`

/** The milliseconds that a key has left; below 0 if there is none. */
export const timeLeft = "return redis.call('pttl', KEYS[1])"

/** Everything that the others need, to find out whether it is possible: writing, reading, and telling (1). */
export const tryOut = `
redis.call('set', KEYS[1], '1', 'px', 1000)
redis.call('publish', ARGV[1], '')
return redis.call('get', KEYS[1])`
