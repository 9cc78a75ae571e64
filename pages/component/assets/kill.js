// The kill switch as the operator sees it: requested at the click, confirmed only by the engine's own snapshot.

const CONFIRM_MS = 1000;
const SERVER_SILENT_MS = 4000; // the sidebar's control alone hears from the server once a second
const CLEARED_MS = 2000; // a frame made so long after the latch was written has seen it

// Which other process trades, as briefly as the sidebar has room for: without since when.
const elsewhere = (engine) => engine.error.split(", since ")[0];

// One state for the page: the sidebar's control and the live page's button show the same.
const killDesk = {
  fixed: {},
  mode: null,
  account: null,
  engine: null,
  version: -1,
  beat: -1,
  heardAt: -Infinity,
  askedAt: null,
  error: null,
  latch: null, // as the first of the two ways confirmed it
  latchedAt: -Infinity,
  views: new Set(),

  // Takes what a frame says; `at` is when it was made. By several ways, so that an older one may come later.
  hear(frame, at) {
    const restarted = frame.engine.desk !== this.engine?.desk;
    if (!restarted && frame.beat <= this.beat) return;
    if (frame.fixed.kill_url) this.fixed = frame.fixed;
    if (this.wasCleared(frame, at)) this.askedAt = this.latch = null;
    if (restarted || frame.version >= this.version) Object.assign(this, { mode: frame.mode, account: frame.account });
    Object.assign(this, { version: frame.version, beat: frame.beat, engine: frame.engine, heardAt: at });
    if (this.confirmed(at) && at >= this.askedAt) this.askedAt = this.latch = null;
    this.paint();
  },

  // Whether a frame says that the switch was cleared meanwhile, which a tab without frames misses. One made
  // before this tab asked, or just after its latch was written, knows nothing of either.
  wasCleared(frame, at) {
    if (frame.engine.killed || !(this.latch || this.engine?.killed)) return false;
    return at > (this.latch ? this.latchedAt + CLEARED_MS : (this.askedAt ?? -Infinity));
  },

  // The engine itself said so, in a snapshot, and the server still speaks: else it may be cleared by now.
  confirmed(at) {
    return !this.silent(at) && Boolean(this.mode?.kill_latched && this.engine?.killed && this.engine.alive);
  },

  silent(at) {
    return at - this.heardAt > SERVER_SILENT_MS;
  },

  // Words, tone and button of this moment.
  say(at) {
    const { mode, engine } = this;
    const waited = this.askedAt === null ? 0 : at - this.askedAt;
    const byHand = `On the server: touch ${this.fixed.kill_file ?? "data/KILL"}`;
    const silent = this.silent(at);
    const written = !silent && Boolean(engine?.killed || this.latch);
    if (this.confirmed(at)) {
      return {
        word: "KILLED",
        label: "KILLED",
        tone: "killed",
        latched: true,
        hint: localTime(mode.kill_since_ms),
        detail: `by ${mode.kill_who} at ${wallTime(mode.kill_since_ms, mode.clock_rate)}: ${mode.kill_why}${mode.halted_why ? `. Also halted: ${mode.halted_why}` : ""}`,
      };
    }
    if (this.latch && waited <= CONFIRM_MS) {
      return {
        word: "LATCHED",
        label: "KILLED",
        tone: "killed",
        latched: true,
        detail: `The latch is written and no order leaves (confirmed in ${number(this.latchedMs, 0)} ms). Waiting for the engine's own word.`,
      };
    }
    if (this.askedAt !== null && waited <= CONFIRM_MS) {
      return {
        word: "TRIPPING",
        label: "TRIPPING…",
        tone: "tripping",
        detail: "Waiting for the engine to confirm.",
      };
    }
    if (written && engine?.state === "elsewhere") {
      return {
        word: "KILLED",
        label: "KILLED",
        tone: "killed",
        latched: true,
        detail: `The kill switch is tripped; the process that trades stops: ${elsewhere(engine).replace("trades elsewhere: ", "")}.`,
      };
    }
    if (written) {
      return {
        word: engine?.alive ? "LATCHED, NOT CONFIRMED" : "LATCHED",
        label: "KILLED",
        tone: "alarm",
        latched: true,
        detail: engine?.alive
          ? "The latch is written; the engine has not answered yet."
          : "The engine does not run, so it cannot confirm.",
      };
    }
    if (this.error)
      return { word: "NOT CONFIRMED", label: "KILL", tone: "alarm", detail: `${this.error} ${byHand}` };
    if (this.latch)
      return {
        word: "LATCHED, NOT CONFIRMED",
        label: "KILL",
        tone: "alarm",
        detail: `The latch was written; the server does not answer, so nobody says that it stands. ${byHand}`,
      };
    if (this.askedAt !== null)
      return {
        word: "NOT CONFIRMED",
        label: "TRIPPING…",
        tone: "alarm",
        detail: `No word from the engine. ${byHand}`,
      };
    if (silent) {
      const last = engine?.killed ? "; it last said that the switch is tripped" : "";
      return {
        word: "UNKNOWN",
        label: "KILL",
        tone: "unknown",
        detail: `The server does not answer${last}. ${byHand}`,
      };
    }
    if (engine?.state === "elsewhere")
      return {
        word: "NOT TRIPPED",
        label: "KILL",
        tone: "ready",
        detail: `The engine ${elsewhere(engine)}. One click here stops it.`,
      };
    if (engine && !engine.alive)
      return {
        word: "NOT TRIPPED",
        label: "KILL",
        tone: "ready",
        detail: "The engine does not run. A latch holds for its next start.",
      };
    return {
      word: "NOT TRIPPED",
      label: "KILL",
      tone: "ready",
      detail: "One click stops all trading, without a question.",
    };
  },

  async trip() {
    if (this.confirmed(performance.now())) return;
    const asked = (this.askedAt = performance.now());
    this.error = this.latch = null;
    this.paint();
    try {
      this.latch = await postKills(this.fixed, this.engine);
      this.latchedAt = performance.now();
      this.latchedMs = this.latchedAt - asked;
    } catch (error) {
      this.error = `The kill route failed (${error.message}); ${this.askSession()}`;
      setTimeout(() => {
        this.error = null;
        this.paint();
      }, 6000);
    }
    this.paint();
  },

  // The route may be out of reach behind a proxy; the session's own socket is the second way. Returns words.
  askSession() {
    const { trigger } = stream;
    if (!trigger) return "the session cannot be asked from this page now.";
    stream.send(trigger, "kill");
    return "asked again through the session.";
  },

  paint() {
    const at = performance.now();
    for (const view of this.views) view.paint(at);
  },
};

class KillButton {
  constructor() {
    this.label = el("span");
    this.button = el("button", "kill", shape("square"), this.label);
    this.button.type = "button";
    this.button.title = "Stops all trading at once; stays stopped until cleared with a reason";
    this.button.addEventListener("click", () => killDesk.trip());
    // Enter held down would press it again and again.
    this.button.addEventListener("keydown", (event) => event.repeat && event.preventDefault());
    this.word = el("strong");
    this.detail = el("span");
    this.line = el("p", "kill-line", this.word, " ", this.detail);
    this.line.setAttribute("aria-live", "polite");
    this.node = el("div", "kill-box", this.button, this.line);
    killDesk.views.add(this);
  }

  paint(at) {
    const said = killDesk.say(at);
    put(this.label, said.label);
    put(this.word, said.word);
    put(this.detail, said.detail);
    hint(this.line, said.hint ?? "");
    tone(this.node, said.tone);
    this.button.disabled = said.latched === true;
  }

  close() {
    killDesk.views.delete(this);
  }
}

// The control in the sidebar of every page.
class KillControl {
  constructor(root) {
    this.mode = chip("mode");
    this.sub = el("p", "sub");
    this.button = new KillButton();
    this.node = el("div", "control", this.mode.node, this.sub, this.button.node);
    root.append(this.node);
    this.timer = setInterval(() => this.paint(performance.now()), 250);
    killDesk.views.add(this);
  }

  take(frame) {
    const theme = readPalette(this.node).dark ? "dark" : "light";
    if (this.node.dataset.theme !== theme) this.unpin();
    this.node.dataset.theme = theme;
    killDesk.hear(frame, stream.transit.made(frame, performance.now()));
    stream.dial(frame.fixed);
  }

  // The ground is the theme's: pin anew in its colour.
  unpin() {
    const box = document.querySelector("[data-testid='stSidebarUserContent']");
    if (box) box.style.position = "";
  }

  // A list of pages longer than the screen must not push the button out of sight: it stays at the foot.
  pin() {
    const box = document.querySelector("[data-testid='stSidebarUserContent']");
    if (box) fitPages(box);
    if (!box || box.style.position === "sticky") return;
    Object.assign(box.style, { position: "sticky", bottom: "0", zIndex: "1" });
    const sidebar = box.closest("[data-testid='stSidebar']");
    box.style.backgroundColor = sidebar ? getComputedStyle(sidebar).backgroundColor : "inherit";
  }

  paint(at) {
    this.pin();
    this.button.paint(at);
    const { mode, account } = killDesk;
    putModeChip(this.mode, mode, killDesk.engine, killDesk.silent(at), account);
    hint(this.mode.node, modeReason(mode, account));
    show(this.sub, Boolean(mode));
    put(this.sub, mode ? `${mode.dry_run ? "paper orders" : "REAL ORDERS"} · profile ${mode.profile}` : "");
  }

  close() {
    clearInterval(this.timer);
    killDesk.views.delete(this);
    this.button.close();
    this.node.remove();
  }
}

// The same on a page that has no status bar, where the sidebar is folded away.
class NarrowKillControl extends KillControl {
  constructor(root) {
    super(root);
    this.node.classList.add("narrow");
  }
}
