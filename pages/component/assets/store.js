// What this tab knows. Frames overlap and may come twice; merging is by version and by second, so neither matters.

const TICK_LIMIT = 900;
const MARK_LIMIT = 200;

class Store {
  constructor() {
    this.fixed = {};
    this.engine = { state: "starting", alive: true, error: null, killed: false, sessions: 0 };
    this.clear();
  }

  clear() {
    this.version = 0;
    this.head = null;
    this.slow = {};
    this.ticks = [];
    this.revision = (this.revision ?? 0) + 1; // seconds and marks taken in: charts are drawn anew when it moves
    this.marks = new Map();
    this.receivedAt = 0;
  }

  // Takes one frame; `at` is when it was made, on this tab's clock (Transit). Returns true when it carried a
  // newer snapshot. Sets `gap` when frames in between are missing.
  merge(frame, at) {
    this.engine = frame.engine;
    if (frame.fixed) this.fixed = frame.fixed;
    if (!frame.head) return false;
    const whole = frame.since === 0;
    const other = this.head !== null && this.head.session !== frame.head.session;
    this.gap = !whole && (other || frame.since > this.version);
    if (this.gap) return false;
    if (!whole && frame.head.version < this.version) return false; // an old frame come twice
    if (whole && (other || frame.head.version < this.version)) this.clear();
    for (const row of frame.ticks) this.addTick(row);
    for (const mark of frame.marks) this.addMark(mark);
    if (frame.head.version <= this.version) return false;
    Object.assign(this.slow, frame.slow);
    this.head = frame.head;
    this.version = frame.head.version;
    this.receivedAt = at;
    return true;
  }

  addTick(row) {
    this.revision += 1;
    const { ticks } = this;
    const last = ticks.length ? ticks[ticks.length - 1][0] : -Infinity;
    if (row[0] > last) {
      ticks.push(row);
      if (ticks.length > TICK_LIMIT) ticks.shift();
      return;
    }
    let low = 0;
    let high = ticks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ticks[middle][0] < row[0]) low = middle + 1;
      else high = middle;
    }
    ticks.splice(low, ticks[low][0] === row[0] ? 1 : 0, row);
  }

  addMark(mark) {
    this.revision += 1;
    this.marks.set(`${mark.t_ms} ${mark.kind} ${mark.slug} ${mark.text}`, mark);
    if (this.marks.size > MARK_LIMIT) this.marks.delete(this.marks.keys().next().value);
  }

  // Seconds of the hammer window as they are in force; before the first picture, as they were at the start.
  get hammer() {
    return this.slow.account?.params?.hammer_s ?? this.fixed.hammer_s ?? 0;
  }

  // From what age on the engine takes a price for stale, seconds on its clock.
  get priceStale() {
    return this.slow.account?.params?.price_stale_s ?? Infinity;
  }

  get rate() {
    return this.slow.mode?.clock_rate ?? 1;
  }

  // Wall seconds since the newest snapshot was sent here; everything that ages goes on ageing by it.
  sinceFrame(at) {
    return this.head ? (at - this.receivedAt) / 1000 : null;
  }

  // The same on the engine's clock, which may be scaled.
  drift(at) {
    return (this.sinceFrame(at) ?? 0) * this.rate;
  }

  contracts(name) {
    return (this.head?.contracts ?? []).filter((contract) => contract.name === name);
  }

  // The window that runs now, or the next one to start.
  current(name) {
    const open = this.contracts(name).filter((contract) => !["settling", "settled"].includes(contract.phase));
    open.sort((a, b) => a.start_s - b.start_s);
    return open.find((contract) => contract.phase !== "upcoming") ?? open[0] ?? null;
  }

  // The window of this length that ended last.
  previous(name) {
    const over = this.contracts(name).filter((contract) => ["settling", "settled"].includes(contract.phase));
    over.sort((a, b) => b.end_s - a.end_s);
    return over[0] ?? null;
  }
}
