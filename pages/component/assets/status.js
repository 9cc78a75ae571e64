// The status bar: may I trust this picture, what is the engine, what has it earned, can I stop it?

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
    this.pnlCaption = el("span", "caption", "P&L today");
    this.pnlBox = el("span", "pnl", this.pnlCaption, this.pnl);
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
    this.leave.paint(account, store.rate);
    this.habits.hear(store);
    this.paintSettling(store, at);
    put(
      this.terms,
      mode ? `${mode.dry_run ? "paper orders" : "REAL ORDERS"} · ${mode.venue} venue · ${mode.profile}` : "",
    );
    put(this.pnlCaption, store.rate === 1 ? "P&L today" : "P&L today (market's day)");
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
    put(this.rate, store.rate === 1 ? "" : `engine's clock ×${number(store.rate, store.rate % 1 ? 1 : 0)}`);
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
    const drift = store.drift(at);
    for (const view of views) {
      let target = this.settlingChips.get(view.rule);
      if (!target) {
        target = chip("rung-chip");
        this.settlingChips.set(view.rule, target);
        this.settling.append(target.node);
      }
      const [shapeName, word, toneName] = rungState(view, store, drift);
      const text = `${view.rule} by ${view.rung} ${word ? `${word} ` : ""}${age(view.age_s + drift)}`;
      putChip(target, shapeName, text, toneName);
      hint(target.node, `the rung in use; coverage ${percent(view.coverage, 0)}, typical error ${dollars(view.error_usd)}`);
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
    const silent = store.sinceFrame(at);
    const up = head ? head.uptime_s + (silent ?? 0) : null;
    const texts = {
      running: `engine up ${uptime(up)} · ${number(engine.sessions, 0)} session${engine.sessions === 1 ? "" : "s"}`,
      starting: "engine starting",
      silent: "engine SILENT",
      failed: "engine FAILED",
      stopped: "engine STOPPED",
      elsewhere: "engine elsewhere",
    };
    const good = engine.state === "running";
    const calm = ["starting", "elsewhere"].includes(engine.state);
    if (good && silent > NO_DATA_S) putChip(this.engine, "warning", "engine unknown", "warn");
    else
      putChip(
        this.engine,
        good ? "disc" : calm ? "ring" : "cross",
        texts[engine.state],
        good ? "ok" : calm ? "quiet" : "alarm",
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
    const alarm = alarmWords(store.engine, mode, Boolean(store.head));
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
