import type { Cancel, Clock } from "../../src/clock";

/** Let everything run that is only waiting for promises. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 40; turn += 1) await Promise.resolve();
}

/** Time that passes only when a test says so. */
export class VirtualClock implements Clock {
  private time = 1_764_000_000_000;
  private timers: { at: number; work: () => void }[] = [];

  now(): number {
    return this.time;
  }

  after(delay: number, work: () => void): Cancel {
    const timer = { at: this.time + delay, work };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  /** How long until the next timer, in ms; null without one. */
  get next(): number | null {
    return this.timers.length === 0 ? null : Math.min(...this.timers.map((timer) => timer.at)) - this.time;
  }

  async advance(duration: number): Promise<void> {
    const end = this.time + duration;
    await settle();
    for (;;) {
      const due = this.timers.filter((timer) => timer.at <= end).sort((one, other) => one.at - other.at)[0];
      if (!due) break;
      this.timers = this.timers.filter((timer) => timer !== due);
      this.time = Math.max(this.time, due.at);
      due.work();
      await settle();
    }
    this.time = end;
  }
}
