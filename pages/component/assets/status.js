// The status bar: may I trust this picture, what is the engine, what has it earned, can I stop it?

const MODE_SHAPES = {
  PRACTICE: ["ring", "practice"],
  PAPER: ["half", "paper"],
  LIVE: ["disc", "live"],
  HALTED: ["cross", "halted"],
};

// What the engine may do now, in one word: the snapshot's mode, and what the operator or the arming make of it.
function modeWord(mode, account) {
  if (mode.mode === "HALTED") return ["HALTED", "cross", "halted"];
  if (account?.paused_why) return ["PAUSED", "bars", "paused"];
  if (mode.mode === "LIVE" && account)
    return account.armed ? ["ARMED", "disc", "live"] : ["DISARMED", "ring", "paper"];
  const [shapeName, toneName] = MODE_SHAPES[mode.mode] ?? ["warning", "alarm"];
  return [mode.mode, shapeName, toneName];
}

// Why, by whom and until when the mode is what it is; the red banner says it where trading has stopped.
function modeReason(mode, account) {
  if (!mode || !account || mode.mode === "HALTED") return "";
  if (account.paused_why) return `paused by ${account.paused_why}; resume on the Mode page`;
  if (mode.mode !== "LIVE") return "";
  const why = `${account.armed_who ? `by ${account.armed_who}` : ""}${account.armed_why ? `: ${account.armed_why}` : ""}`;
  if (!account.armed) return `not armed ${why || ": no live order leaves"}`;
  const until = known(account.armed_until_ms) ? ` until ${clock(account.armed_until_ms)} UTC` : "";
  return `armed${until} ${why}`;
}

// What to do about it: docs/orders.md, "Restrictions" and "Alarms".
const ALARM_ADVICE = {
  "order of unknown fate": "wait; nothing is traded in its window",
  "orders do not fill": "look at the execution, or stop",
  "ghost fill": "the fill was undone; look at the account's approvals and balance",
  "shares differ": "fewer: the engine halts; more: somebody else traded",
  "stuck redeem": "redeem on the venue's page",
  "cancel-all": "it is tried again; cancel by hand if it stays",
};
const RESTRICTION_ADVICE = {
  "closed-only": "exits go on; ask the venue about the account",
  unauthorised: "check the API key",
  heartbeat: "ends with the next beat that is taken",
  region: "the kill switch is tripped: this region may not trade",
};

function putModeChip(target, mode, engine, unknown, account = null) {
  if (engine && !engine.alive) putChip(target, "cross", "ENGINE DOWN", "halted");
  else if (unknown || engine?.state === "silent") putChip(target, "warning", "UNKNOWN", "alarm");
  else if (!mode) putChip(target, "ring", "STARTING", "quiet");
  else {
    const [word, shapeName, toneName] = modeWord(mode, account);
    putChip(target, shapeName, word, toneName);
  }
}

class StatusBar {
  constructor() {
    this.mode = chip("mode");
    this.terms = el("span", "terms");
    this.reason = el("span", "mode-reason");
    this.leave = new LeaveChips();
    this.habits = new Habits();
    this.settling = el("span", "feeds settling");
    this.settlingChips = new Map();
    this.pnl = el("strong", "figure");
    this.pnlBox = el("span", "pnl", el("span", "caption", "P&L today"), this.pnl);
    this.clock = el("span", "figure");
    this.rate = el("span", "rate");
    this.clockBox = el("span", "clock", this.clock, this.rate);
    this.feeds = el("span", "feeds");
    this.feedChips = new Map();
    this.topics = el("span", "topics");
    this.topicChips = new Map();
    this.venueClock = chip("venue-clock");
    this.engine = chip("engine");
    this.journal = chip("journal");
    this.kill = new KillButton();
    this.banner = el("p", "banner");
    this.alarm = el("p", "alarm");
    this.alarm.setAttribute("role", "alert");
    this.reduced = new ReducedBanner();
    this.behind = new BehindBanner();
    const first = el("div", "line first", this.mode.node, this.reason, this.terms, this.pnlBox);
    first.append(this.leave.balance.node, this.clockBox, this.habits.node);
    const machine = [this.venueClock, this.engine, this.journal].map((part) => part.node);
    const second = el("div", "line second", this.feeds, ...machine);
    const third = el("div", "line third", this.settling, this.topics);
    this.node = el(
      "header",
      "status",
      el("div", "lines", first, this.kill.node, second, third),
      this.leave.node,
      this.alarm,
      this.reduced.node,
      this.behind.node,
      this.banner,
    );
  }

  paint(store, at) {
    const { mode, money, account } = store.slow;
    const silent = store.sinceFrame(at);
    putModeChip(this.mode, mode, store.engine, silent !== null && silent > NO_DATA_S, account);
    put(this.reason, modeReason(mode, account));
    show(this.reason, this.reason.textContent !== "");
    this.leave.paint(account);
    this.habits.hear(store);
    this.paintSettling(store, at);
    put(
      this.terms,
      mode ? `${mode.dry_run ? "paper orders" : "REAL ORDERS"} · ${mode.venue} venue · ${mode.profile}` : "",
    );
    put(this.pnl, signedDollars(money?.realised_today));
    tone(this.pnl, gain(money?.realised_today));
    this.paintClock(store, at);
    this.paintFeeds(store, at);
    this.paintTopics(store, at);
    putChip(this.venueClock, ...clockState(store.head?.clock));
    hint(this.venueClock.node, clockHint(store.head?.clock, store.drift(at)));
    this.paintEngine(store, at);
    this.kill.paint(at);
    this.paintBanner(store, mode);
  }

  paintClock(store, at) {
    const now = store.head ? store.head.now_ms + store.drift(at) * 1000 : null;
    put(this.clock, known(now) ? `${clock(now)} UTC` : "");
    hint(this.clockBox, known(now) ? `${localTime(now)}\nthe engine's clock` : "");
    put(this.rate, store.rate === 1 ? "" : `×${number(store.rate, store.rate % 1 ? 1 : 0)}`);
  }

  paintFeeds(store, at) {
    const drift = store.drift(at);
    for (const feed of store.head?.feeds ?? []) {
      let target = this.feedChips.get(feed.name);
      if (!target) {
        target = chip("feed");
        this.feedChips.set(feed.name, target);
        this.feeds.append(target.node);
      }
      const seconds = known(feed.age_s) ? feed.age_s + drift : null;
      const [shapeName, word, toneName] = feedState(feed);
      putChip(target, shapeName, `${feed.name} ${word ? `${word} ` : ""}${age(seconds)}`, toneName);
      hint(
        target.node,
        `${feed.detail}\n${feed.frames} frames, ${feed.refused} refused, ${feed.reconnects} reconnects`,
      );
    }
  }

  // The rung in use of each price that settles, and how old its value is.
  paintSettling(store, at) {
    const views = store.head?.canonical ?? [];
    for (const view of views) {
      let target = this.settlingChips.get(view.rule);
      if (!target) {
        target = chip("rung-chip");
        this.settlingChips.set(view.rule, target);
        this.settling.append(target.node);
      }
      const whole = view.error_usd === 0;
      const text = `${view.rule} by ${view.rung} ${age(view.age_s + store.drift(at))}`;
      putChip(target, whole ? "disc" : "half", text, whole ? "ok" : "warn");
      hint(target.node, `the rung in use; coverage ${percent(view.coverage, 0)}, error up to ${dollars(view.error_usd)}`);
    }
    for (const [rule, target] of this.settlingChips)
      show(target.node, views.some((view) => view.rule === rule));
  }

  paintTopics(store, at) {
    const drift = store.drift(at);
    for (const topic of store.head?.topics ?? []) {
      let target = this.topicChips.get(topic.name);
      if (!target) {
        target = chip("topic");
        target.lag = el("span", "lag");
        target.node.append(target.lag);
        this.topicChips.set(topic.name, target);
        this.topics.append(target.node);
      }
      const [shapeName, toneName] = topicState(topic);
      const seconds = known(topic.age_s) ? ` ${age(topic.age_s + drift)}` : "";
      putChip(target, shapeName, `${topic.name} ${topic.state}${seconds}`, toneName);
      put(target.lag, lagText(topic));
      hint(target.node, topicHint(topic));
    }
  }

  paintEngine(store, at) {
    const { engine, head } = store;
    const up = head ? head.uptime_s + (store.sinceFrame(at) ?? 0) : null;
    const texts = {
      running: `engine up ${uptime(up)} · ${number(engine.sessions, 0)} session${engine.sessions === 1 ? "" : "s"}`,
      starting: "engine starting",
      silent: "engine SILENT",
      failed: "engine FAILED",
      stopped: "engine STOPPED",
    };
    const good = engine.state === "running";
    putChip(
      this.engine,
      good ? "disc" : engine.state === "starting" ? "ring" : "cross",
      texts[engine.state],
      good ? "ok" : engine.state === "starting" ? "quiet" : "alarm",
    );
    hint(
      this.engine.node,
      `${engine.sessions} browser session${engine.sessions === 1 ? "" : "s"} · session ${head?.session ?? DASH}`,
    );
    const lag = head?.journal_lag_ms;
    const slow = known(lag) && lag > 250; // a group commit waits 50 ms at most: five of them is trouble
    putChip(
      this.journal,
      slow ? "warning" : known(lag) ? "disc" : "ring",
      `journal ${slow ? "LATE " : ""}${milliseconds(lag)}`,
      !known(lag) ? "quiet" : slow ? "warn" : "ok",
    );
    hint(this.journal.node, `recorded up to ${head?.journal_seq ?? DASH} of ${head?.seq ?? DASH}`);
  }

  paintBanner(store, mode) {
    const { engine } = store;
    let alarm = "";
    if (!engine.alive)
      alarm = `The engine does not run: ${engine.error ?? "it was stopped"}. Nothing is traded.${store.head ? " What you see below is its last word." : ""}`;
    else if (mode?.halted_why)
      alarm = `Halted: ${mode.halted_why}. It will not trade again before a restart.`;
    else if (mode?.kill_latched)
      alarm = `Killed by ${mode.kill_who} at ${clock(mode.kill_since_ms)} UTC: ${mode.kill_why}. No order leaves. To clear: the form in the sidebar.`;
    put(this.alarm, alarm);
    show(this.alarm, alarm !== "");
    this.reduced.paint(mode);
    this.behind.paint(mode);
    put(this.banner, mode?.venue_banner ?? "");
    show(this.banner, Boolean(mode?.venue_banner));
  }

  close() {
    this.kill.close();
    this.habits.close();
  }
}

// Balance, and what stands between us and the venue: each chip says what to do.
class LeaveChips {
  constructor() {
    this.balance = chip("balance");
    this.node = el("ul", "leave");
    this.node.setAttribute("aria-label", "Restrictions and alarms");
    this.node.setAttribute("aria-live", "polite");
  }

  paint(account) {
    const free = account?.free_usd ?? null;
    putChip(this.balance, known(free) ? "disc" : "ring", `free ${dollars(free)}`, known(free) ? "ok" : "quiet");
    hint(this.balance.node, "dollars that no order under way may still take");
    const items = account ? leaveItems(account) : [];
    const key = JSON.stringify(items);
    show(this.node, items.length > 0);
    if (key === this.key) return;
    this.key = key;
    this.node.replaceChildren(
      ...items.map(([shapeName, toneName, name, why, advice]) => {
        const mark = chip("leave-chip");
        putChip(mark, shapeName, name, toneName);
        return el("li", "", mark.node, el("span", "", why), advice ? el("b", "", advice) : "");
      }),
    );
  }
}

function leaveItems(account) {
  const items = [];
  if (account.restriction !== "none") {
    const until = known(account.restriction_until_ms)
      ? `ends by itself at ${clock(account.restriction_until_ms)} UTC`
      : "does not end by itself";
    const advice = RESTRICTION_ADVICE[account.restriction] ?? "nothing to do: the next order tries";
    items.push(["bars", "warn", `venue: ${account.restriction}`, `${account.restriction_why}; ${until}`, advice]);
  }
  for (const [name, why] of Object.entries(account.alarms))
    items.push(["warning", "alarm", name, why, ALARM_ADVICE[name] ?? "look at the Health page"]);
  if (account.unknown > 0 && !account.alarms["order of unknown fate"])
    items.push(["warning", "warn", `${account.unknown} unknown`, "an order is looked for", ALARM_ADVICE["order of unknown fate"]]);
  if (account.ghost_fills > 0 && !account.alarms["ghost fill"])
    items.push(["warning", "warn", `${account.ghost_fills} ghost fills`, "matches that failed later", ALARM_ADVICE["ghost fill"]]);
  return items;
}

const KEYS = [
  ["k", "go to the kill button (Enter presses it)"],
  ["1", "show the 5m window below"],
  ["2", "show the 15m window below"],
  ["0", "reset the zoom of the charts"],
  ["s", "sound on fill and halt, on or off"],
  ["?", "these keys"],
];
const SOUND_KEY = "updown-sound";

// Sound and keys. Sound is off until somebody wants it: browsers want a click before they play any.
class Habits {
  constructor() {
    this.act = {}; // what keys do beyond this bar, set by the page
    this.on = readSound();
    this.sound = el("button", "habit sound");
    this.sound.type = "button";
    this.sound.addEventListener("click", () => this.toggle());
    this.help = el("button", "habit", "?");
    this.help.type = "button";
    this.help.title = "Keys";
    this.help.setAttribute("aria-label", "Keys");
    this.help.addEventListener("click", () => this.explain());
    const rows = KEYS.map(([key, what]) => el("div", "", el("kbd", "", key), el("span", "", what)));
    const shut = el("button", "habit", "Close");
    shut.addEventListener("click", () => this.dialog.close());
    this.dialog = el("dialog", "keys", el("h2", "", "Keys"), ...rows, shut);
    this.node = el("span", "habits", this.sound, this.help, this.dialog);
    this.press = (event) => this.pressed(event);
    document.addEventListener("keydown", this.press);
    this.said();
  }

  pressed(event) {
    // A button of the page may have Escape as its shortcut and keep it from the browser (the tour's has).
    if (event.key === "Escape" && this.dialog.open) this.dialog.close();
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.composedPath()[0];
    if (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
    const acts = { ...this.act, s: () => this.toggle(), "?": () => this.explain() };
    const act = acts[event.key];
    if (!act || (this.dialog.open && event.key !== "?")) return;
    event.preventDefault();
    act();
  }

  explain() {
    if (this.dialog.open) this.dialog.close();
    else this.dialog.showModal();
  }

  toggle() {
    this.on = !this.on;
    try {
      localStorage.setItem(SOUND_KEY, this.on ? "on" : "off");
    } catch {
      // A browser that keeps nothing still sounds until the page is left.
    }
    if (this.on) this.play([660]);
    this.said();
  }

  said() {
    put(this.sound, this.on ? "♪ sound on" : "sound off");
    this.sound.setAttribute("aria-pressed", String(this.on));
  }

  // Sounds what is new since the page was opened, never what was there.
  hear({ slow }) {
    if (!slow.mode) return;
    const fills = (slow.orders ?? []).filter((order) => order.filled_shares > 0).length;
    const halted = slow.mode.mode === "HALTED";
    if (this.heard && halted && !this.heard.halted) this.play([440, 330, 220]);
    else if (this.heard && fills > this.heard.fills) this.play([660, 880]);
    this.heard = { fills, halted };
  }

  play(tones) {
    if (!this.on) return;
    this.audio ??= new AudioContext();
    this.node.dataset.played = tones.join(" ");
    tones.forEach((hertz, index) => {
      const at = this.audio.currentTime + index * 0.16;
      const [voice, level] = [this.audio.createOscillator(), this.audio.createGain()];
      voice.frequency.value = hertz;
      level.gain.setValueAtTime(0.12, at);
      level.gain.exponentialRampToValueAtTime(0.001, at + 0.15);
      voice.connect(level).connect(this.audio.destination);
      voice.start(at);
      voice.stop(at + 0.16);
    });
  }

  close() {
    document.removeEventListener("keydown", this.press);
    this.audio?.close();
  }
}

function readSound() {
  try {
    return localStorage.getItem(SOUND_KEY) === "on";
  } catch {
    return false;
  }
}

// The settlement feed is silent and the engine lives on another price: nobody may overlook that.
class ReducedBanner {
  constructor() {
    this.since = el("span");
    this.orders = el("strong");
    this.node = el(
      "p",
      "reduced",
      shape("warning"),
      el("span", "", el("strong", "", "REDUCED TRADING CONFIDENCE: "), this.since, this.orders),
    );
    this.node.setAttribute("role", "alert");
    show(this.node, false);
  }

  paint(mode) {
    const reduced = mode?.reduced_trading_confidence ?? false;
    if (reduced) {
      const since = `living on spot since ${clock(mode.fallback_since_ms)} UTC`;
      put(this.since, `${since}; spot is not what these contracts settle on. `);
      put(
        this.orders,
        mode.orders_in_fallback
          ? "ORDERS ARE ALLOWED (ALLOW_ORDERS_WHILE_FALLBACK_ACTIVE)."
          : "Orders are gated.",
      );
    }
    show(this.node, reduced);
  }
}

class BehindBanner {
  constructor() {
    this.text = el("span");
    this.node = el("p", "behind", shape("half"), this.text);
    this.node.setAttribute("role", "status");
    show(this.node, false);
  }

  paint(mode) {
    const why = mode?.behind_why ?? "";
    if (why) put(this.text, `The engine is behind its feeds: ${why}; no new orders.`);
    show(this.node, why !== "");
  }
}

function feedState(feed) {
  if (!feed.connected) return ["cross", "DOWN", "alarm"];
  if (feed.stale) return ["warning", "STALE", "alarm"];
  return ["disc", "", "ok"];
}

function gain(value) {
  if (!known(value) || Math.abs(value) < 0.005) return "quiet";
  return value > 0 ? "up" : "down";
}
