// The replay page: the live page's panels over a store of its own, which a player on the server fills as asked.

const PLAY_MS = 100; // pace of playing: ten pictures a second
const BEHIND_MS = 400;
const BUILT_EVERY_MS = 3000; // how often an index that is being built is asked for
const ADDRESS_MS = 500; // how often the address follows while playing
const SPEEDS = [1, 2, 5, 10, 20, 50, 100];
const JUMPS = ["decision", "trade", "near miss", "gap", "fault"];
const JUMP_TONES = { trade: "--good", "near miss": "--hammer", gap: "--alarm", fault: "--warn" };

// A recorded moment does not grow older.
class ReplayStore extends Store {
  sinceFrame() {
    return this.head ? 0 : null;
  }

  // Whole pictures come after a step back: nothing of what was later may stay.
  merge(frame, at) {
    if (frame.since === 0) this.clear();
    return super.merge(frame, at);
  }
}

// One socket, one ask under way. Of moves to a time the last one wanted counts; steps and jumps all count.
class ReplayLink {
  constructor(url, heard, lost) {
    this.waiting = [];
    this.busy = true;
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.ready();
    this.socket.onmessage = (event) => {
      heard(JSON.parse(frameDecoder.decode(event.data)));
      this.ready();
    };
    this.socket.onclose = () => this.closed || lost();
  }

  ask(what) {
    const last = this.waiting[this.waiting.length - 1];
    if (last && "at_ms" in last && "at_ms" in what) this.waiting.pop();
    this.waiting.push(what);
    if (!this.busy) this.ready();
  }

  ready() {
    const next = this.waiting.shift();
    this.busy = next !== undefined;
    if (next) this.socket.send(JSON.stringify(next));
  }

  close() {
    this.closed = true;
    this.socket.close();
  }
}

// Slider, buttons and what they say.
class ReplayControls {
  constructor(page) {
    this.page = page;
    this.banner = el("p", "replay-banner");
    this.banner.setAttribute("role", "status");
    this.slider = el("input", "replay-slider");
    Object.assign(this.slider, { type: "range", min: 0, max: 1, step: 1, value: 0 });
    this.slider.setAttribute("aria-label", "Moment of the session");
    this.slider.addEventListener("input", () => page.seek(Number(this.slider.value) * 1000));
    this.strip = el("canvas", "replay-strip");
    this.strip.setAttribute("aria-hidden", "true");
    this.from = el("span", "replay-end");
    this.to = el("span", "replay-end");
    this.play = this.button("Play", "play or pause (space)", () => page.toggle());
    this.play.classList.add("replay-play");
    this.sayPlay("Play");
    this.speed = el("select", "replay-speed");
    this.speed.setAttribute("aria-label", "Speed");
    this.speed.append(...SPEEDS.map((speed) => el("option", "", `${speed}×`)));
    const steps = el(
      "span",
      "replay-group",
      this.button("−1 s", "a second back (left arrow)", () => page.ask({ seconds: -1 })),
      this.button("+1 s", "a second on (right arrow)", () => page.ask({ seconds: 1 })),
      this.button("−1 event", "an event back (,)", () => page.ask({ events: -1 })),
      this.button("+1 event", "an event on (.)", () => page.ask({ events: 1 })),
    );
    const jumps = JUMPS.map((kind) =>
      el(
        "span",
        "replay-group",
        this.button("‹", `the ${kind} before`, () => page.ask({ jump: kind, back: true })),
        el("span", "replay-kind", kind),
        this.button("›", `the next ${kind}`, () => page.ask({ jump: kind })),
      ),
    );
    this.note = el("p", "replay-note");
    this.note.setAttribute("role", "status");
    this.state = el("p", "replay-state");
    this.node = el(
      "section",
      "replay",
      this.banner,
      el("div", "replay-track", this.from, el("div", "replay-rail", this.strip, this.slider), this.to),
      el("div", "replay-buttons", this.play, this.speed, steps, ...jumps),
      this.note,
      this.state,
    );
    this.node.setAttribute("aria-label", "Replay");
    this.sized = new ResizeObserver(() => this.paintStrip());
    this.sized.observe(this.strip);
  }

  button(text, title, act) {
    const node = el("button", "replay-button", text);
    node.type = "button";
    node.title = title;
    node.setAttribute("aria-label", title);
    node.addEventListener("click", act);
    return node;
  }

  // What a click would do, for the eye and by the same word for a screen reader.
  sayPlay(word) {
    put(this.play, word);
    this.play.setAttribute("aria-label", word);
  }

  // The whole session: its ends, what is shaded, what is marked, how far the index is.
  hear(overview) {
    this.overview = overview;
    this.slider.min = Math.floor(overview.first_ms / 1000);
    this.slider.max = Math.floor(overview.last_ms / 1000);
    put(this.from, clock(overview.first_ms));
    put(this.to, clock(overview.last_ms));
    const share = overview.built_seq / overview.last_seq;
    const whole = share >= 1;
    put(
      this.state,
      whole
        ? ""
        : `The index is built up to ${percent(share, 0)}: beyond it seeking takes longer, and gaps and jumps are not marked yet.`,
    );
    show(this.state, !whole);
    this.paintStrip();
  }

  paint(told, session) {
    this.node.dataset.at = told.at_ms;
    this.node.dataset.seq = told.seq;
    put(this.banner, `REPLAY of ${session} at ${new Date(told.at_ms).toISOString().replace("T", " ").slice(0, 23)} UTC · event ${number(told.seq, 0)}`);
    hint(this.banner, localTime(told.at_ms));
    put(this.note, told.note ?? "");
    const second = String(Math.floor(told.at_ms / 1000));
    if (this.slider.value !== second) this.slider.value = second;
  }

  paintStrip() {
    const { overview, strip } = this;
    const context = strip.getContext("2d");
    const ratio = devicePixelRatio || 1;
    const [wide, high] = [strip.clientWidth, strip.clientHeight];
    if (!overview || !wide) return;
    strip.width = wide * ratio;
    strip.height = high * ratio;
    context.scale(ratio, ratio);
    const style = getComputedStyle(this.node);
    const span = Math.max(1, overview.last_ms - overview.first_ms);
    const place = (ms) => ((ms - overview.first_ms) / span) * wide;
    context.fillStyle = style.getPropertyValue("--gap");
    for (const [, from, to] of overview.gaps)
      context.fillRect(place(from), 0, Math.max(1, place(to ?? overview.last_ms) - place(from)), high);
    for (const [at, kind] of overview.jumps) {
      context.fillStyle = style.getPropertyValue(JUMP_TONES[kind] ?? "--quiet");
      context.fillRect(place(at), high - 7, 1.5, 7);
    }
    if (overview.built_seq < overview.last_seq) {
      context.fillStyle = style.getPropertyValue("--shade");
      context.fillRect(place(overview.built_ms || overview.first_ms), 0, wide, high);
    }
  }

  close() {
    this.sized.disconnect();
  }
}

class ReplayPage extends LivePage {
  constructor(root) {
    super(root, new ReplayStore());
  }

  // Called while the panels are being built: nothing of the live stream reaches them.
  listen() {
    this.controls = new ReplayControls(this);
    this.page.prepend(this.controls.node);
    this.page.classList.add("replaying");
    this.status.habits.hear = () => {}; // no sound for a fill of yesterday
    this.before = new Map();
    this.playing = null;
    this.pressed = (event) => this.press(event);
    document.addEventListener("keydown", this.pressed);
    this.player = setInterval(() => this.beat(), PLAY_MS);
  }

  // Every picture was asked for, so every panel shows it at once: what flipped is marked in it, wherever it is.
  due() {
    return true;
  }

  keys() {
    return [
      ...super.keys(),
      ["space", "play or pause"],
      ["arrows", "a second back, a second on"],
      [",", "an event back", () => this.ask({ events: -1 })],
      [".", "an event on", () => this.ask({ events: 1 })],
    ];
  }

  // Not among the keys above: space has to go on pressing the button that has the focus, the kill button above all.
  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.defaultPrevented) return;
    const target = event.composedPath()[0];
    if (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT|CANVAS)$/.test(target.tagName)) return;
    const act = {
      " ": target.closest?.("button, a, [role]") ? null : () => this.toggle(),
      ArrowLeft: () => this.ask({ seconds: -1 }),
      ArrowRight: () => this.ask({ seconds: 1 }),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  // What the page's Python says: which session, and where to begin. Said again, it changes nothing.
  open(told) {
    this.themed();
    const key = `${told.session} ${told.t_ms}`;
    if (key === this.key) return;
    this.key = key;
    this.told = told;
    this.pause();
    this.dial({ at_ms: told.t_ms ?? told.first_ms, overview: true });
  }

  dial(first) {
    const { told } = this;
    this.link?.close();
    this.overviewAt = performance.now();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const url = `${scheme}//${location.host}${told.url}?session=${encodeURIComponent(told.session)}`;
    this.link = new ReplayLink(url, (frame) => this.hear(frame), () => this.lost());
    this.link.ask(first);
  }

  lost() {
    this.pause();
    this.link = null;
    put(this.controls.note, "The replay's socket closed. The next step opens it again.");
  }

  ask(what) {
    this.pause();
    if (this.link) this.link.ask(what);
    else this.dial({ at_ms: this.at ?? this.told.first_ms, overview: true });
  }

  seek(ms) {
    this.ask({ at_ms: ms });
  }

  toggle() {
    if (this.playing) this.pause();
    else {
      this.playing = performance.now();
      this.controls.sayPlay("Pause");
    }
  }

  pause() {
    this.playing = null;
    this.controls.sayPlay("Play");
  }

  beat() {
    const at = performance.now();
    const { link, controls } = this;
    if (!link || link.busy) return;
    const overview = controls.overview;
    if (overview && overview.built_seq < overview.last_seq && at - this.overviewAt > BUILT_EVERY_MS) {
      this.overviewAt = at;
      if (!this.playing) link.ask({ overview: true });
    }
    if (!this.playing || !overview) return;
    if (this.at >= overview.last_ms) {
      this.pause();
      put(controls.note, "The session ends here.");
      return;
    }
    const speed = SPEEDS[controls.speed.selectedIndex];
    const next = this.at + Math.min(at - this.playing, BEHIND_MS) * speed; // a slow machine plays slower
    this.playing = at;
    link.ask({ at_ms: Math.min(Math.round(next), overview.last_ms) });
  }

  hear(frame) {
    const { replay } = frame;
    if (replay.overview) this.controls.hear(replay.overview);
    if (replay.problem) {
      this.pause();
      put(this.controls.note, replay.problem);
      return;
    }
    this.at = replay.at_ms;
    this.heard(this.store.merge(frame, performance.now()));
    this.moment = replay;
    this.address();
    this.schedule();
  }

  // The address always leads here again; while playing it follows twice a second.
  address() {
    const at = performance.now();
    if (this.playing && at - (this.addressAt ?? 0) < ADDRESS_MS) return;
    this.addressAt = at;
    const query = new URLSearchParams(location.search);
    query.set("session", this.told.session);
    query.set("t", new Date(this.at).toISOString());
    history.replaceState(history.state, "", `${location.pathname}?${query}`);
  }

  paint(at) {
    super.paint(at);
    if (!this.moment) return;
    put(this.status.mode.word, `REPLAY, was ${this.status.mode.word.textContent.replace("REPLAY, was ", "")}`);
    if (this.painted === this.moment) return;
    this.painted = this.moment;
    this.controls.paint(this.moment, this.told.label);
    this.paintFlips();
  }

  // Gates that are otherwise than at the position before, in the table that is shown.
  paintFlips() {
    const contract = this.store.current(this.selected);
    const now = new Map((contract?.decision?.gates ?? []).map((gate) => [gate.name, gate.passed]));
    const same = this.flipSlug === contract?.slug;
    for (const [name, row] of this.decision.gates.rows ?? []) {
      const flipped = same && this.before.has(name) && this.before.get(name) !== now.get(name);
      row.node.classList.toggle("flipped", flipped);
      row.node.title = flipped ? `was ${this.before.get(name) ? "holding" : "refusing"} at the position before` : "";
    }
    this.flipSlug = contract?.slug;
    this.before = now;
  }

  // As wide as the live page, but below what Streamlit shows above it: there is a choice to be made there.
  fit() {
    const block = document.querySelector("[data-testid='stMainBlockContainer']");
    if (!block) return;
    const value = `${-Math.max(0, parseFloat(getComputedStyle(block).paddingLeft) - 16)}px`;
    if (this.page.style.marginInline !== value) this.page.style.marginInline = value;
    this.clearHeader();
  }

  paintTitle() {
    const title = `REPLAY ${this.moment ? clock(this.moment.at_ms) : ""} · BTC Up or Down`;
    if (document.title !== title) document.title = title;
  }

  close() {
    clearInterval(this.player);
    document.removeEventListener("keydown", this.pressed);
    this.link?.close();
    this.controls.close();
    super.close();
  }
}
