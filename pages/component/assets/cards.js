// One card for each length of window: where it stands, what it will settle on, what a share is worth.

const PHASES = {
  upcoming: ["ring", "UPCOMING", "quiet"],
  idle: ["ring", "IDLE", "quiet"],
  watch: ["half", "WATCH", "watch"],
  hammer: ["diamond", "HAMMER", "hammer"],
  settling: ["half", "SETTLING", "quiet"],
  settled: ["square", "SETTLED", "quiet"],
};

class Card {
  constructor(name, select) {
    this.name = name;
    this.phase = chip("phase");
    this.window = el("span", "window");
    this.left = el("span", "countdown");
    const head = el("button", "card-head", el("strong", "", name), this.window, this.phase.node, this.left);
    head.type = "button";
    head.title = "Show this window in the panels below";
    head.addEventListener("click", () => select(name));
    this.head = head;
    this.elapsed = el("i", "elapsed");
    this.hammer = el("i", "zone");
    this.coverage = new CoverageStrip();
    this.observe = new ObserveBanner();
    this.empty = el("p", "empty");
    this.numbers = this.buildNumbers();
    this.sides = table("sides", [
      { label: "" },
      ...["bid", "ask", "fee", "EV / share", "held"].map((label) => ({ label, numeric: true })),
    ]);
    this.word = chip("verdict-word");
    this.sentence = el("span");
    this.decision = el("p", "why", this.word.node, this.sentence);
    this.rule = el("p", "rule");
    this.last = el("p", "last");
    this.over = null;
    this.body = el("div", "card-body", this.numbers, this.sides.node, this.decision, this.rule);
    this.node = el(
      "section",
      "panel card",
      head,
      el("div", "progress", this.hammer, this.elapsed),
      this.coverage.node,
      this.observe.node,
      this.empty,
      this.body,
      this.last,
    );
    this.node.setAttribute("aria-label", `${name} window`);
  }

  buildNumbers() {
    this.main = facts("main", { expected: "Expected settlement", strike: "Strike", distance: "Distance" });
    this.sub = { expected: el("small"), strike: el("small"), distance: el("small") };
    for (const key of Object.keys(this.sub)) this.main.cells[key].parentNode.append(this.sub[key]);
    this.p = gauge("P(UP)");
    this.seed = new SeedOdds(this.p);
    this.lock = gauge("Fixed");
    this.lock.node.classList.add("lock");
    this.lock.node.title = "Share of the settlement average that later prices cannot change any more";
    this.mean = el("b");
    this.flip = el("b");
    this.begins = el("span");
    this.begun = el("span", "", "mean so far ", this.mean, " · BTC must average ", this.flip);
    this.begun.append(" over the rest to flip");
    this.terms = el("p", "terms-line fixed-terms", this.begins, this.begun);
    this.z = facts("side-facts", { z: "z", move: "60 s move", fee: "fee rate" });
    return el(
      "div",
      "numbers",
      this.main.node,
      el("div", "gauges", this.p.node, this.seed.node, this.lock.node, this.terms, this.z.node),
    );
  }

  paint({ store, at, selected: name, colours }) {
    const contract = store.current(this.name);
    const selected = name === this.name;
    this.node.classList.toggle("selected", selected);
    this.head.setAttribute("aria-pressed", String(selected));
    this.paintLast(this.lastOver(store.previous(this.name), contract));
    show(this.body, contract !== null && contract.phase !== "upcoming");
    this.paintHead(store, at, contract);
    this.coverage.paint(contract, colours);
    this.observe.paint(contract);
    if (!contract) return;
    this.paintNumbers(contract, store.drift(at));
    this.paintSides(contract);
    putChip(this.word, ...verdict(contract.decision));
    put(this.sentence, contract.decision?.sentence ?? "It decides from the moment the window has a strike.");
    put(this.rule, `Settles on ${contract.rule} · ${contract.slug}`);
    hint(this.rule, contract.rule_words);
  }

  paintHead(store, at, contract) {
    const left = contract ? contract.seconds_left - store.drift(at) : null;
    const [shapeName, word, toneName] = PHASES[contract?.phase ?? "upcoming"];
    putChip(this.phase, shapeName, contract ? word : "NO WINDOW", toneName);
    this.node.dataset.phase = contract?.phase ?? "none";
    put(this.window, contract ? `${minute(contract.start_s)}–${minute(contract.end_s)} UTC` : "");
    hint(this.window, contract ? localTime(contract.start_s * 1000) : "");
    const length = contract ? contract.end_s - contract.start_s : 1;
    const upcoming = contract?.phase === "upcoming";
    put(this.left, countdown(upcoming ? left - length : left));
    hint(this.left, upcoming ? "until it starts" : "until it ends");
    this.left.dataset.urgent = String(known(left) && !upcoming && left <= 60);
    width(this.elapsed, upcoming || !contract ? 0 : 1 - left / length);
    width(this.hammer, contract ? store.hammer / length : 0);
    const text =
      store.engine.alive || contract
        ? this.emptyText(contract)
        : store.engine.state === "elsewhere"
          ? "No window: another process trades."
          : "No window: the engine does not run.";
    put(this.empty, text);
    show(this.empty, text !== "");
  }

  emptyText(contract) {
    if (!contract)
      return `Looking for the ${this.name} window. It appears as soon as the venue describes it.`;
    if (contract.phase === "upcoming")
      return `Waiting for the boundary: the strike is captured exactly at ${clock(contract.start_s * 1000)} UTC.`;
    if (contract.strike !== null) return "";
    const next = `The next strike is captured exactly at ${clock(contract.end_s * 1000)} UTC.`;
    if (contract.observe_only !== null) return next;
    return `No report stamped ${clock(contract.start_s * 1000)} UTC was heard: this window has no strike. ${next}`;
  }

  paintNumbers(contract, drift) {
    const { cells } = this.main;
    put(cells.expected, number(contract.expected));
    const stale = madeOfOldPrices(contract);
    const doubt = known(contract.deviation_usd) ? `± ${dollars(contract.deviation_usd)} (1 σ)` : "";
    put(this.sub.expected, stale ? "of a stale price" : doubt);
    tone(this.sub.expected, stale ? "warn" : "");
    this.numbers.classList.toggle("stale", stale);
    hint(this.p.node, stale ? "Worked out from a price that is stale: see the gate stale price" : "");
    put(cells.strike, number(contract.strike));
    put(this.sub.strike, sourceText(contract.strike_source, contract.strike_error, contract.strike_rung));
    hint(cells.strike, known(contract.strike) ? String(contract.strike) : "");
    put(cells.distance, signedDollars(contract.distance_usd));
    tone(
      cells.distance,
      known(contract.distance_usd) ? (contract.distance_usd >= 0 ? "up" : "down") : "quiet",
    );
    put(
      this.sub.distance,
      known(contract.distance_bp) ? `${signed(contract.distance_bp)} bp · z ${signed(contract.z)}` : "",
    );
    putGauge(this.p, contract.p_up, probability(contract.p_up));
    this.seed.paint(contract);
    putGauge(
      this.lock,
      contract.locked_share,
      known(contract.locked_share) ? `${number(contract.locked_share * 100, 0)} % of the average` : DASH,
    );
    // Its place is kept: what stands below must not jump when the average begins.
    const begun = known(contract.locked_mean) && contract.locked_share > 0;
    this.terms.classList.toggle("void", !begun && !known(contract.averaged_from_s));
    show(this.begun, begun);
    show(this.begins, !begun);
    put(this.begins, `the average starts at ${clock(contract.averaged_from_s * 1000)} UTC`);
    put(this.mean, dollars(contract.locked_mean));
    put(this.flip, dollars(contract.flip_average));
    put(this.z.cells.z, signed(contract.z));
    hint(this.z.cells.z, `spot formula: ${signed(contract.z_seed)}`);
    put(this.z.cells.fee, feeText(contract.fee_rate, contract.fee_age_s, drift));
    put(
      this.z.cells.move,
      known(contract.watch_return) ? `${signed(contract.watch_return * 1e4, 1)} bp` : DASH,
    );
  }

  paintSides(contract) {
    const rows = [
      {
        outcome: "UP",
        book: contract.up,
        ev: contract.ev_up,
        fee: contract.fee_up,
        held: contract.position_up,
      },
      {
        outcome: "DOWN",
        book: contract.down,
        ev: contract.ev_down,
        fee: contract.fee_down,
        held: contract.position_down,
      },
    ];
    fillTable(
      this.sides,
      rows,
      (row) => row.outcome,
      (cells, row, node) => {
        putOutcome(cells[0], row.outcome);
        const live = row.book.state === "live";
        node.classList.toggle("distrusted", !live);
        hint(node, live ? "" : bookText(row.book));
        putBookState(cells[0], row.book);
        put(cells[1], sharePrice(row.book.bid));
        put(cells[2], sharePrice(row.book.ask));
        put(cells[3], known(row.fee) ? `${number(row.fee * 100)}¢` : DASH);
        put(cells[4], cents(row.ev, 2));
        tone(cells[4], known(row.ev) && row.ev > 0 ? "good" : "quiet");
        put(cells[5], row.held ? number(row.held, 2) : DASH);
      },
    );
  }

  close() {
    this.coverage.close();
  }

  // The line stays when the window leaves the frames, and its place is kept before the first: what stands below
  // must not jump. A replay may go back: then the window before is another, or none.
  lastOver(over, contract) {
    if (over !== null) this.over = over;
    else if (contract && this.over && this.over.end_s !== contract.start_s) this.over = null;
    return this.over;
  }

  paintLast(over) {
    this.last.classList.toggle("void", !over);
    if (!over) return;
    const key = JSON.stringify([
      over.slug,
      over.phase,
      over.final,
      over.outcome,
      over.outcome_source,
      over.pnl,
    ]);
    if (this.lastKey === key) return;
    this.lastKey = key;
    const result = el("span");
    putOutcome(result, over.outcome);
    const settled = over.phase === "settled";
    const parts = [
      `${minute(over.start_s)}–${minute(over.end_s)} ${settled ? "settled" : "settling"} `,
      result,
      ` strike ${number(over.strike)} · final ${number(over.final)}`,
      over.outcome_source ? ` (${words(over.outcome_source)})` : "",
      known(over.pnl) ? ` · P&L ${signedDollars(over.pnl)}` : "",
    ];
    this.last.replaceChildren(...parts);
  }
}

// Why a window is only watched; where the venue changed the rule, its words before and now, in full.
class ObserveBanner {
  constructor() {
    this.why = el("strong");
    this.words = facts("rules", { before: "Rule of the window before", now: "Rule now" });
    this.node = el("div", "observe", el("p", "", shape("warning"), this.why), this.words.node);
    this.node.setAttribute("role", "status");
  }

  paint(contract) {
    const why = contract?.observe_only ?? null;
    show(this.node, why !== null);
    if (why === null) return;
    put(this.why, `OBSERVE ONLY: ${why}`);
    show(this.words.node, contract.rule_before !== null);
    put(this.words.cells.before, contract.rule_before ?? "");
    put(this.words.cells.now, contract.rule_words);
  }
}

const FAR_APART = 0.05; // shown, not decided by: as much as five cents of EV a share

// The formula most bots use, as a tick on the engine's own gauge and in words below it.
class SeedOdds {
  constructor(target) {
    this.tick = el("u");
    target.bar.parentNode.append(this.tick);
    this.value = el("b");
    this.apart = el("span", "apart");
    this.node = el("p", "terms-line seed", "spot formula (most bots) ", this.value, this.apart);
    this.node.title = "Prices spot against the strike, not the average that settles; nothing is decided by it";
  }

  paint({ p_up: own, p_seed: seed }) {
    const both = known(own) && known(seed);
    const apart = both && Math.abs(own - seed) >= FAR_APART;
    put(this.value, probability(seed));
    put(this.apart, apart ? ` · ${number(Math.abs(own - seed) * 100, 0)} points apart` : "");
    this.node.classList.toggle("far", apart);
    show(this.tick, known(seed));
    width(this.tick, seed);
  }
}

// Whether the price that the numbers are made of has fallen silent, as the gate says it.
function madeOfOldPrices({ decision }) {
  return Boolean(decision?.gates?.some((gate) => gate.name === "stale price" && !gate.passed));
}

function verdict(decision) {
  const verdicts = {
    buy_up: ["up", "BUY UP", "up"],
    buy_down: ["down", "BUY DOWN", "down"],
    no_trade: ["ring", "NO TRADE", "quiet"],
  };
  return verdicts[decision?.action] ?? ["ring", "NO DECISION YET", "quiet"];
}

function gauge(label) {
  const bar = el("i");
  const value = el("span", "value");
  return {
    node: el("div", "gauge", el("span", "caption", label), el("span", "bar", bar), value),
    bar,
    value,
  };
}

function putGauge(target, share, text) {
  width(target.bar, known(share) ? share : 0);
  put(target.value, text);
}

function sourceText(source, error, rung = null) {
  if (!source) return "";
  const doubt = known(error) && error > 0 ? ` ± ${dollars(error)}` : "";
  return `${words(source)}${doubt}${rung ? ` · ${rung}` : ""}`;
}

function feeText(rate, age_s, drift) {
  return known(rate) ? `${plain(rate)}${known(age_s) ? `, ${age(age_s + drift)} old` : ""}` : DASH;
}
