/** A sender's numbers to one agent in one lane. */

/** Numbers that an agent remembers of one sender and lane; the page on the protocol explains it. */
export const WINDOW = 1_024

/**
 * Numbers from 1, each in flight from `take` to `done`. One is only given out while the oldest in
 * flight is less than 1,024 behind: an old one that is retried for long must not fall out of the
 * agent's window, where it would be taken for a duplicate.
 */
export class Counter {
  last = 0
  /** The highest number that is stored. */
  landed = 0
  private readonly inFlight = new Set<number>()
  private readonly waiting: ((number: number) => void)[] = []

  /** The next number, or undefined if there is no room for it now. */
  takeNow(): number | undefined {
    if (this.waiting.length > 0 || !this.hasRoom()) return undefined
    this.inFlight.add(++this.last)
    return this.last
  }

  /** The next number once there is room, in the order of asking; `cancel` asks no more. */
  take(): {number: Promise<number>; cancel: () => void} {
    const now = this.takeNow()
    if (now !== undefined) return {number: Promise.resolve(now), cancel: () => this.done(now)}
    let got: number | undefined
    let give: (number: number) => void = () => {}
    const number = new Promise<number>((resolve) => {
      give = (next) => {
        got = next
        resolve(next)
      }
      this.waiting.push(give)
    })
    const cancel = (): void => {
      const place = this.waiting.indexOf(give)
      if (place >= 0) this.waiting.splice(place, 1)
      else if (got !== undefined) this.done(got)
    }
    return {number, cancel}
  }

  /** A number whose outcome is known, or that nobody retries any more. */
  done(number: number): void {
    this.inFlight.delete(number)
    while (this.waiting.length > 0 && this.hasRoom()) {
      this.inFlight.add(++this.last)
      this.waiting.shift()?.(this.last)
    }
  }

  private hasRoom(): boolean {
    const [oldest] = this.inFlight
    return oldest === undefined || this.last + 1 - oldest < WINDOW
  }
}
