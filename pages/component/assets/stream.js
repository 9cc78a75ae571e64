// How this tab is fed: pushed over the server's socket, or, where that cannot be reached, by asking Streamlit's
// fragment again and again. One connection and one store for the tab, whichever page is open; one message format.

const PULL_MS = 200; // event to pixels p95 under 300 ms for under 5 % of a core (benchmarks/console.py)
const SLOW_PULL_MS = 1000;
const ANSWER_LIMIT_MS = 2000; // an asked fragment that did not answer by then is asked again
const GRACE_MS = 1000; // how long a new page waits for its first push before it asks
const PUSH_SILENT_MS = 1500; // the server speaks four times a second, at least
const CONNECT_LIMIT_MS = 15_000;
const ACK_MS = 500; // a frame covers everything since; what it repeats is small
const RETRY_MS = [250, 500, 1000, 2000, 4000];
const WATCH_MS = 200;
const BETWEEN_ASKS_MS = 20; // what is asked within one turn goes out as one message, and that names one fragment
const AFTER_DEED_MS = 250; // after a click or a key press: a widget's own message names another fragment
const HELD_LIMIT_MS = 1000; // a key that is held down must not starve the page
const QUICKEST_KEPT_MS = 300_000; // steady clocks drift apart, and one that stood still is behind for good
const frameDecoder = new TextDecoder();

// Streamlit keeps what a widget says until its next timer of 0 ms, and then sends all of it as one fragment's. On a
// busy page a click comes before that timer: it would go out under the fragment that we ask, and its own would not
// be drawn again. So a question's timer does not wait.
function sentAtOnce(act) {
  const later = globalThis.setTimeout;
  const due = [];
  globalThis.setTimeout = (then, ms, ...rest) =>
    ms === 0 ? due.push(() => then(...rest)) : later(then, ms, ...rest);
  try {
    act();
  } finally {
    globalThis.setTimeout = later;
  }
  for (const then of due) then();
}

// When a frame was made, on this tab's clock. Its beat is on the server's: how far apart the two are nobody
// knows, but that stays the same. So the quickest frame of the last minutes counts as just made; one that
// waited for a frozen tab, or came over a slow link, is as much older as it was slower.
class Transit {
  // It cannot be older than the socket that brought it, nor of the future.
  made({ beat, engine }, at, opened = -Infinity) {
    const apart = at - beat;
    if (engine.desk !== this.desk)
      Object.assign(this, { desk: engine.desk, since: at, quickest: apart, before: apart });
    if (at - this.since > QUICKEST_KEPT_MS)
      Object.assign(this, { since: at, before: this.quickest, quickest: apart });
    this.quickest = Math.max(Math.min(this.quickest, apart), opened - beat);
    this.before = Math.max(this.before, opened - beat);
    return beat + Math.min(this.quickest, this.before);
  }
}

const stream = {
  store: new Store(),
  transit: new Transit(),
  late: 0, // how much slower than the quickest the newest frame was, ms
  beatAt: -Infinity,
  views: new Set(), // of live pages: { heard() } is called with each frame
  pullers: new Map(), // by root: who may ask its fragment
  socket: null,
  openedAt: -Infinity,
  tries: 0,
  retryAt: 0,
  pushedAt: -Infinity,
  ackedAt: -Infinity,
  wholeAskedAt: -Infinity,
  startedAt: performance.now(),
  frames: { push: 0, fragment: 0 },
  words: new Set(),
  waiting: [], // what fragments are to be asked, in order
  asking: false,
  deedAt: -Infinity, // when the operator last clicked or pressed a key
  deeds: 0, // of them, those whose own message has not gone out yet
  heldAt: null, // since when the next ask waits for the operator

  get pushed() {
    return performance.now() - this.pushedAt < PUSH_SILENT_MS;
  },

  // Takes one frame, however it came.
  take(bytes, way) {
    if (!bytes) return;
    const { store } = this;
    const frame = JSON.parse(typeof bytes === "string" ? bytes : frameDecoder.decode(bytes));
    const at = performance.now();
    this.frames[way] += 1;
    this.beatAt = at;
    const made = this.transit.made(frame, at, way === "push" ? this.openedAt : -Infinity);
    this.late = at - made;
    const newer = store.merge(frame, made);
    if (frame.fixed) this.dial(frame.fixed);
    this.hearKill(frame, made);
    for (const view of this.views) view.heard(newer);
  },

  hearKill(frame, made) {
    const was = killDesk.engine?.killed;
    const { version, slow, engine, fixed } = this.store;
    const told = { mode: slow.mode ?? null, account: slow.account ?? null };
    killDesk.hear({ version, beat: frame.beat, ...told, engine, fixed }, made);
    // The form that clears is Python's: let the kill controls draw themselves again when it comes or goes.
    if (was !== undefined && was !== engine.killed) this.askSlow();
  },

  // Learns where the socket is, and which session's it will be.
  dial(fixed) {
    if (!fixed.push_url) return;
    this.fixed = { ...this.fixed, ...fixed };
    if (!this.socket) this.connect();
  },

  connect() {
    const at = performance.now();
    if (this.socket || at < this.retryAt) return;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${this.fixed.push_url}`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.ack();
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      this.tries = 0;
      this.pushedAt = performance.now();
      this.take(event.data, "push");
      if (this.store.gap) this.ack(true);
      else if (performance.now() - this.ackedAt >= ACK_MS) this.ack();
    };
    socket.onclose = () => {
      if (socket === this.socket) this.hangUp();
    };
    this.openedAt = at;
    this.socket = socket;
  },

  hangUp() {
    const { socket } = this;
    this.socket = null;
    this.pushedAt = -Infinity;
    this.retryAt = performance.now() + RETRY_MS[Math.min(this.tries, RETRY_MS.length - 1)];
    this.tries += 1;
    socket?.close();
    this.say();
  },

  // Tells the server what this tab has; from there on it sends differences to it. Nothing, for the whole picture.
  ack(nothing = false) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const { head, version } = this.store;
    const calm = document.hidden || this.views.size === 0;
    const have = nothing ? 0 : version;
    this.ackedAt = performance.now();
    this.calm = calm;
    this.socket.send(
      JSON.stringify({ have, session: head?.session ?? "", calm, tab: this.fixed.tab ?? "" }),
    );
  },

  // Lets a part ask its fragment where nothing is pushed; when it was just answered, at its own moment.
  serve(root, trigger, every) {
    const at = performance.now();
    const askedAt = this.pullers.get(root)?.askedAt ?? at;
    this.pullers.set(root, { trigger, every, askedAt, waits: false });
    if (!this.pushed) setTimeout(() => this.watch(), Math.max(0, Math.ceil(askedAt + every - at)));
  },

  forget(root) {
    this.pullers.delete(root);
  },

  // Who can ask the session something: a part that is mounted now, the newest for choice.
  get trigger() {
    return [...this.pullers.values()].at(-1)?.trigger ?? null;
  },

  // Has the slow parts drawn again soon, however the tab is fed.
  askSlow() {
    for (const puller of this.pullers.values()) puller.wanted = puller.every === SLOW_PULL_MS;
  },

  // A difference to something the tab never had came by the fragment: ask for everything.
  askWhole(trigger) {
    const at = performance.now();
    if (!this.store.gap || this.pushed || at - this.wholeAskedAt < 1000) return;
    this.wholeAskedAt = at;
    this.send(trigger, "resync");
  },

  // Asks a fragment, or waits until what another was asked has gone out: two timers that are both late (a busy
  // page) run one right after the other, before Streamlit sends either. The operator's own deed goes first.
  send(trigger, what) {
    this.waiting.push([trigger, what]);
    if (!this.asking) this.sendNext();
  },

  sendNext() {
    const at = performance.now();
    const held = at - (this.heldAt ??= at);
    // What the operator just did has to have gone out, as long as that can be waited for at all.
    const calm = this.deedAt + (held < HELD_LIMIT_MS ? AFTER_DEED_MS : BETWEEN_ASKS_MS) - at;
    if (this.waiting.length && (calm > 0 || this.deeds) && held < 3 * HELD_LIMIT_MS) {
      this.asking = true;
      setTimeout(() => this.sendNext(), Math.max(calm, BETWEEN_ASKS_MS));
      return;
    }
    this.heldAt = null;
    const next = this.waiting.shift();
    this.asking = next !== undefined;
    if (!next) return;
    setTimeout(() => this.sendNext(), BETWEEN_ASKS_MS);
    sentAtOnce(() => next[0](next[1], Date.now()));
  },

  // Notes a deed before anybody else hears of it. What it makes a widget say goes out by a timer that is asked for
  // after the first of these two and before the second, however late a busy page comes to them.
  did() {
    this.deedAt = performance.now();
    this.deeds += 1;
    setTimeout(() => setTimeout(() => (this.deeds -= 1)));
  },

  ask(puller) {
    puller.askedAt = performance.now();
    puller.waits = true;
    puller.wanted = false;
    this.send(puller.trigger, "pull");
  },

  // Keeps the socket up; asks the fragments meanwhile.
  watch() {
    const at = performance.now();
    const { socket } = this;
    // A server that stands still takes no new connection either: one that is being made is left to come through.
    const limit = socket?.readyState === WebSocket.CONNECTING ? CONNECT_LIMIT_MS : PUSH_SILENT_MS;
    if (socket && at - Math.max(this.pushedAt, this.openedAt) > limit && !document.hidden) this.hangUp();
    if (!this.socket && this.fixed?.push_url) this.connect();
    if (this.socket && this.calm !== (document.hidden || this.views.size === 0)) this.ack();
    this.say();
    const due = [...this.pullers.values()].find((puller) => this.due(puller, at));
    if (due) this.ask(due);
  },

  due(puller, at) {
    if (puller.wanted) return true;
    if (this.pushed || document.hidden || at - this.startedAt < GRACE_MS) return false;
    return at - puller.askedAt >= (puller.waits ? ANSWER_LIMIT_MS : puller.every);
  },

  // A tab that slept wants the present at once, not after the socket's own time-out.
  wake() {
    if (document.hidden) return this.ack();
    this.retryAt = 0;
    this.watch();
    return this.ack();
  },

  get fed() {
    if (this.pushed) return "push";
    return performance.now() - this.beatAt < ANSWER_LIMIT_MS ? "fragment" : "nothing";
  },

  // The word on the page that says which way it is fed.
  word() {
    const part = chip("fed");
    this.words.add(part);
    this.say();
    return part.node;
  },

  say() {
    const { fed } = this;
    const said = {
      push: ["disc", "fed by push", "ok", "Pushed over the server's socket, ten times a second."],
      fragment: ["half", "fed by fragment", "quiet", "The push socket is out of reach; the page asks five times a second."],
      nothing: ["cross", "not fed", "alarm", "No frame arrives, neither pushed nor asked for."],
    }[fed];
    for (const part of this.words) {
      putChip(part, ...said.slice(0, 3));
      hint(part.node, said[3]);
      part.node.dataset.fed = fed;
    }
  },
};

setInterval(() => stream.watch(), WATCH_MS);
for (const deed of ["pointerdown", "click", "keydown", "change"]) {
  document.addEventListener(deed, () => stream.did(), { capture: true, passive: true });
}
document.addEventListener("visibilitychange", () => stream.wake());
document.addEventListener("resume", () => stream.wake());
window.addEventListener("online", () => stream.wake());
window.addEventListener("pageshow", () => stream.wake());
