// The live page: takes frames, keeps the clocks running between them, paints what changed once per screen refresh.

const NO_DATA_S = 1.5;
const TICK_MS = 200;
const started = new WeakMap();

class LivePage {
  constructor(root, store = stream.store) {
    this.root = root;
    this.store = store;
    this.selected = "5m";
    this.group = new ChartGroup(`updown-${Math.random()}`, () => this.schedule());
    this.status = new StatusBar();
    this.cards = ["5m", "15m"].map((name) => new Card(name, (chosen) => this.select(chosen)));
    this.price = new PriceChart(this.group);
    this.trend = new TrendChart(this.group);
    this.odds = new OddsChart(this.group);
    this.edge = new EdgePanel();
    this.divergence = new DivergenceChart(this.group);
    this.ladder = new Ladder();
    this.decision = new DecisionPanel();
    this.orders = new OrdersPanel();
    this.settlements = new SettlementsPanel();
    this.money = new MoneyPanel();
    this.feeds = new FeedsPanel();
    this.tape = new TapePanel();
    this.tour = new Tour(this);
    this.silence = el("span"); // counts; kept from screen readers, which would read every count
    this.silence.setAttribute("aria-hidden", "true");
    this.cause = el("span");
    this.nodata = el("p", "nodata", el("span", "", "NO DATA"), this.silence, this.cause);
    this.nodata.setAttribute("role", "alert");
    this.page = el("div", "live", this.status.node, this.nodata, this.build());
    root.append(this.page);
    this.widths = new Widths(this.page);
    this.paintedAt = -Infinity;
    // Draw at each tick, for what counts on between frames; the others draw what a frame brought.
    this.ticking = [...this.cards, this.ladder, this.feeds];
    this.framed = [this.decision, this.edge, this.orders, this.settlements, this.money, this.tape];
    this.owed = new Set();
    this.sight = new Sight([...this.ticking, ...this.framed].map((part) => part.node), () => this.schedule());
    this.timer = setInterval(() => {
      // Countdowns go on between frames; while frames come they bring them along.
      if (performance.now() - this.paintedAt >= TICK_MS) this.schedule();
    }, TICK_MS / 2);
    this.wake = () => this.schedule();
    document.addEventListener("visibilitychange", this.wake);
    this.themed();
    this.listen();
    this.status.habits.keys(this.keys());
  }

  // Where its frames come from: the tab's stream. A replay has its own source.
  listen() {
    this.fed = stream.word();
    this.status.node.querySelector(".line.second").append(this.fed);
    stream.views.add(this);
  }

  keys() {
    return [
      ["1", "show the 5m window below", () => this.select("5m")],
      ["2", "show the 15m window below", () => this.select("15m")],
      ["0", "reset the zoom of the charts", () => this.group.zoom(null)],
    ];
  }

  build() {
    const nodes = (...parts) => parts.map((part) => part.node);
    return el(
      "main",
      "panels",
      ...nodes(...this.cards, this.price, this.edge),
      el("div", "stack why-stack", ...nodes(this.decision, this.money)),
      el("div", "stack done-stack", ...nodes(this.ladder, this.trend, this.odds, this.orders, this.settlements)),
      ...nodes(this.divergence, this.feeds, this.tape),
    );
  }

  select(name) {
    this.selected = name;
    this.group.range = null;
    this.schedule();
  }

  // Takes what the fragment brought, and lends its trigger.
  take(bytes, trigger) {
    stream.serve(this.root, trigger, PULL_MS);
    this.themed();
    stream.take(bytes, "fragment");
    stream.askWhole(trigger);
    this.schedule();
  }

  // A frame came, pushed or asked for.
  heard(newer) {
    this.fresh = newer || this.fresh;
    this.schedule();
  }

  // Theme variables arrive on the element; the canvas needs them as colours.
  themed() {
    const palette = readPalette(this.page);
    if (palette.key === this.paletteKey) return;
    this.paletteKey = palette.key;
    this.page.dataset.theme = palette.dark ? "dark" : "light";
    this.colours = readColours(this.page);
    for (const chart of this.group.charts) chart.build(this.colours);
    this.fresh = true;
  }

  schedule() {
    if (document.hidden) return this.tellUnseen(performance.now());
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paint(performance.now());
    });
  }

  // A hidden page is not painted: its title and its sounds are what reaches an operator who looks elsewhere.
  tellUnseen(at) {
    this.status.habits.hear(this.store);
    this.paintTitle(this.store, this.isLost(at));
  }

  isLost(at) {
    const silent = this.store.sinceFrame(at);
    return silent !== null && silent > NO_DATA_S;
  }

  paint(at) {
    this.paintedAt = at;
    this.fit();
    const { store } = this;
    const contract = store.current(this.selected);
    this.fresh ||= this.group.range !== this.paintedRange || this.selected !== this.paintedName;
    // Before anything of the page is written: to write on a canvas makes the browser lay out what is stale.
    if (this.fresh) this.paintCharts(store, contract);
    const lost = this.isLost(at);
    this.page.classList.toggle("lost", lost || (store.head !== null && !store.engine.alive));
    this.page.classList.toggle("blank", store.head === null);
    show(this.nodata, lost && store.engine.alive);
    if (lost) this.paintSilence(store.sinceFrame(at), at);
    this.page.dataset.version = store.version;
    this.tour.look();
    this.status.paint(store, at);
    this.paintTitle(store, lost);
    if (this.fresh) this.owed = new Set(this.framed);
    for (const part of [...this.ticking, ...this.owed]) {
      if (!this.due(part, at)) continue;
      this.owed.delete(part);
      part.paint({ store, at, contract, selected: this.selected, colours: this.colours });
    }
    this.fresh = false;
    this.paintedRange = this.group.range;
    this.paintedName = this.selected;
  }

  due(part, at) {
    return this.sight.due(part.node, at);
  }

  paintSilence(silent, at) {
    const limit = NO_DATA_S * 1000;
    const heard = stream.late > limit ? "Frames are long on their way" : "The engine's thread is silent";
    put(this.silence, ` for ${number(silent, silent < 60 ? 1 : 0)} s`);
    put(
      this.cause,
      `. ${at - stream.beatAt > limit ? "The server does not answer" : heard}; the numbers below are old.`,
    );
  }

  paintCharts(store, contract) {
    const { ticks } = store;
    const last = ticks.length ? ticks[ticks.length - 1][0] : Date.now() / 1000;
    const running = contract && contract.phase !== "upcoming" ? contract : null;
    const range = running ? [running.start_s - LEAD_S, running.end_s + 4] : [last - 300, last + 15];
    const shown = this.group.range ?? range;
    this.divergence.paintNow(store.head);
    // Frames come ten times a second, what a chart shows changes once: drawing it is the dearest part.
    const drawn = [store.revision, contract?.slug, contract?.phase, contract?.strike, contract?.final]
      .concat(this.paletteKey, shown, store.hammer, store.rate)
      .join();
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const { columns, gaps } = columnsOf(ticks, contract?.slug, shown, store.rate);
    this.price.context = {
      contract,
      hammer: store.hammer,
      gaps,
      marks: placed([...store.marks.values()], contract?.slug),
    };
    this.price.paint(
      [columns.t, columns.twap, columns.chainlink, columns.spot],
      range,
      "Waiting for the first price.",
    );
    this.trend.paint(
      [columns.t, columns.z, columns.ev_up, columns.ev_down],
      range,
      "Waiting for a strike: z and EV start with it.",
    );
    this.odds.paint(
      [columns.t, columns.p_up, columns.ask_up, columns.even_up],
      range,
      "Waiting for a strike: the probability starts with it.",
    );
    this.divergence.paint([columns.t, columns.divergence], range, "");
    const holes = gaps.length
      ? ` · ${gaps.length} gap${gaps.length === 1 ? "" : "s"} in the settlement feed`
      : "";
    const zoom = matchMedia("(hover: hover)").matches ? " · drag to zoom" : "";
    put(this.price.panel.extra, contract ? `${contract.name} window${holes}${zoom}` : "");
    put(this.trend.panel.extra, contract ? `${contract.name} window` : "");
    put(this.divergence.panel.extra, "spot less settlement feed");
  }

  paintTitle(store, lost) {
    const { mode, money, account } = store.slow;
    const elsewhere = store.engine.state === "elsewhere";
    const word = !store.engine.alive
      ? elsewhere
        ? "ELSEWHERE"
        : "ENGINE DOWN"
      : lost
        ? "NO DATA"
        : titleWord(mode, account, store.engine.killed);
    const title = `${word}${money ? ` ${signedDollars(money.realised_today)}` : ""} · BTC Up or Down`;
    if (document.title !== title) document.title = title;
  }

  // Streamlit keeps a wide margin round its blocks and, on wide screens, an empty strip above them.
  fit() {
    const block = document.querySelector("[data-testid='stMainBlockContainer']");
    if (!block) return;
    const style = getComputedStyle(block);
    const spare = Math.max(0, parseFloat(style.paddingLeft) - 16);
    const value = `${-spare}px`;
    if (this.page.style.marginInline !== value) this.page.style.marginInline = value;
    const beside = window.innerWidth > 768 ? `${Math.min(0, 6 - parseFloat(style.paddingTop))}px` : "0px";
    if (this.page.style.marginTop !== beside) this.page.style.marginTop = beside;
    this.clearHeader();
  }

  // The status bar lies under that strip: it must neither hide nor catch clicks, but its menu must.
  clearHeader() {
    const header = document.querySelector("[data-testid='stHeader']");
    if (!header) return;
    header.style.background = "transparent";
    // Its inner boxes catch pointers of their own, and Streamlit draws them anew.
    for (const part of [header, ...header.querySelectorAll("div, button")]) {
      const events = part.tagName === "BUTTON" ? "auto" : "none";
      if (part.style.pointerEvents !== events) part.style.pointerEvents = events;
    }
  }

  close() {
    clearInterval(this.timer);
    cancelAnimationFrame(this.frame);
    document.removeEventListener("visibilitychange", this.wake);
    for (const part of [...this.group.charts, ...this.cards]) part.close();
    this.sight.close();
    this.widths.close();
    this.status.close();
    stream.views.delete(this);
    stream.forget(this.root);
    stream.words.forEach((part) => part.node === this.fed && stream.words.delete(part));
    this.page.remove();
  }
}

function prepare(root, Part) {
  let part = started.get(root);
  if (!part) {
    const styles = document.createElement("style");
    styles.textContent = STYLES;
    root.replaceChildren(styles);
    part = new Part(root);
    started.set(root, part);
  }
  return part;
}

// Streamlit may mount into the same root again, and may clean up only after it did (a change of theme does both).
// So nothing may be left behind: a closed part that stayed visible would show old numbers as if they were live.
function leave(root) {
  return () => {
    started.get(root)?.close();
    started.delete(root);
    stream.forget(root);
  };
}

function control(Part, data, root, trigger) {
  const part = prepare(root, Part);
  stream.serve(root, trigger, SLOW_PULL_MS);
  if (data) part.take(JSON.parse(frameDecoder.decode(data)));
  return leave(root);
}

const consoleParts = {
  live({ data, parentElement, setTriggerValue }) {
    prepare(parentElement, LivePage).take(data, setTriggerValue);
    return leave(parentElement);
  },
  replay({ data, parentElement }) {
    prepare(parentElement, ReplayPage).open(JSON.parse(frameDecoder.decode(data)));
    return leave(parentElement);
  },
  kill({ data, parentElement, setTriggerValue }) {
    return control(KillControl, data, parentElement, setTriggerValue);
  },
  kill_narrow({ data, parentElement, setTriggerValue }) {
    return control(NarrowKillControl, data, parentElement, setTriggerValue);
  },
};

const shared = (globalThis.__updown ??= {});
if (shared.build && shared.build !== BUILD) location.reload(); // the server was updated: its frames are not for this code
shared.build = BUILD;
shared.ready ??= Promise.resolve(consoleParts);
shared.arrived?.(consoleParts);

// The loader shows nothing.
export default function () {}
