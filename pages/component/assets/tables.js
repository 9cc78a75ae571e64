// The slower panels: the last decision and its gates, orders, settlements, money, events.

class DecisionPanel {
  constructor() {
    this.action = chip("action");
    this.at = el("span", "when");
    this.sentence = el("p", "sentence");
    this.gates = table("gates", [{ label: "" }, { label: "gate" }, { label: "seen" }, { label: "required" }]);
    this.empty = el("p", "empty");
    this.tally = el("ul", "tally");
    this.body = el("div", "", el("p", "verdict", this.action.node, this.at), this.sentence, this.gates.node);
    this.panel = panel("Last decision", "decision", this.body, this.empty, this.tally);
    this.node = this.panel.node;
  }

  paint(store, contract) {
    const decision = contract?.decision ?? null;
    put(this.panel.extra, contract ? `${contract.name} window` : "");
    show(this.body, decision !== null);
    show(this.empty, decision === null);
    put(
      this.empty,
      "No decision yet. The engine decides, and says why, from the moment a window has a strike.",
    );
    this.paintTally(store.slow.decisions ?? {});
    if (!decision) return;
    putChip(this.action, ...verdict(decision));
    put(this.at, `${words(decision.reason)} · ${clock(decision.at_ms)} UTC · #${decision.seq}`);
    hint(this.at, localTime(decision.at_ms));
    put(this.sentence, decision.sentence);
    fillTable(
      this.gates,
      decision.gates,
      (gate) => gate.name,
      (cells, gate, row) => {
        putGate(cells[0], gate.passed);
        put(cells[1], words(gate.name));
        put(cells[2], gate.value);
        putRequirement(cells[3], gate);
        row.classList.toggle("failed", !gate.passed);
      },
    );
  }

  paintTally(decisions) {
    const key = JSON.stringify(decisions);
    if (this.tallyKey === key) return;
    this.tallyKey = key;
    const most = Object.entries(decisions)
      .sort((a, b) => b[1] - a[1])
      .slice(0, 6);
    this.tally.replaceChildren(
      ...most.map(([reason, count]) => el("li", "", words(reason), " ", el("b", "", number(count, 0)))),
    );
    show(this.tally, most.length > 0);
    hint(this.tally, "Decisions of this session by reason");
  }
}

function putGate(cell, passed) {
  if (cell.dataset.passed === String(passed)) return;
  cell.dataset.passed = String(passed);
  const mark = shape(passed ? "check" : "cross");
  mark.removeAttribute("aria-hidden");
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", passed ? "holds" : "fails");
  mark.dataset.tone = passed ? "good" : "warn";
  cell.replaceChildren(mark);
}

// Where a gate refuses, what would have to change stands below what it requires.
function putRequirement(cell, gate) {
  if (!cell.firstChild) cell.append(el("span"), el("small", "change"));
  put(cell.firstChild, gate.requirement);
  put(cell.lastChild, gate.change && `to pass: ${gate.change}`);
  show(cell.lastChild, Boolean(gate.change));
}

const ORDER_STATES = {
  intended: ["ring", "quiet"],
  sent: ["half", "watch"],
  filled: ["disc", "good"],
  killed: ["cross", "quiet"],
  denied: ["cross", "warn"],
  unknown: ["warning", "alarm"],
};

class OrdersPanel {
  constructor() {
    this.table = table("orders", [
      { label: "UTC" },
      { label: "window" },
      { label: "side" },
      { label: "limit", numeric: true },
      { label: "$", numeric: true },
      { label: "state" },
      { label: "shares", numeric: true },
      { label: "average", numeric: true },
      { label: "fee", numeric: true },
      { label: "why" },
    ]);
    this.empty = el(
      "p",
      "empty",
      "No orders yet. One appears here when a window is in its hammer seconds and every gate holds.",
    );
    this.panel = panel("Orders and fills", "orders-panel", el("div", "scroll", this.table.node), this.empty);
    this.node = this.panel.node;
  }

  paint(store) {
    const orders = [...(store.slow.orders ?? [])].sort(
      (a, b) => b.at_ms - a.at_ms || (b.order_id > a.order_id ? 1 : -1),
    );
    show(this.empty, orders.length === 0);
    show(this.table.node, orders.length > 0);
    put(this.panel.extra, orders.length ? number(orders.length, 0) : "");
    fillTable(
      this.table,
      orders,
      (order) => order.order_id,
      (cells, order, row) => {
        put(cells[0], clock(order.at_ms));
        hint(cells[0], `${localTime(order.at_ms)}\n${order.order_id}`);
        put(cells[1], windowName(order.slug));
        hint(cells[1], order.slug);
        putOutcome(cells[2], order.outcome);
        put(cells[3], sharePrice(order.limit_price));
        put(cells[4], number(order.usd));
        putState(cells[5], order.state, ORDER_STATES[order.state]);
        put(cells[6], order.filled_shares ? number(order.filled_shares) : DASH);
        put(cells[7], known(order.average_price) ? number(order.average_price, 4) : DASH);
        put(cells[8], order.filled_shares ? dollars(order.fee) : DASH);
        put(cells[9], words(order.reason));
        row.classList.toggle("dim", order.state === "killed" || order.state === "denied");
      },
    );
  }
}

function putState(cell, state, [shapeName, toneName]) {
  if (cell.dataset.state === state) return;
  cell.dataset.state = state;
  const mark = chip("state");
  putChip(mark, shapeName, state, toneName);
  cell.replaceChildren(mark.node);
}

const VERDICTS = {
  agrees: ["check", "good"],
  "within error": ["half", "quiet"],
  "outside error": ["warning", "warn"],
  drift: ["cross", "alarm"],
  breaker: ["cross", "alarm"],
  waiting: ["ring", "quiet"],
  unknown: ["ring", "quiet"],
};

class SettlementsPanel {
  constructor() {
    this.table = table("settlements", [
      { label: "ended" },
      { label: "window" },
      { label: "outcome" },
      { label: "strike", numeric: true },
      { label: "final", numeric: true },
      { label: "P&L", numeric: true },
      { label: "said by" },
      { label: "verdict" },
    ]);
    this.empty = el("p", "empty");
    this.panel = panel("Settlements", "settlements-panel", el("div", "scroll", this.table.node), this.empty);
    this.node = this.panel.node;
  }

  paint(store) {
    const items = [...(store.slow.settlements ?? [])].sort(
      (a, b) => b.end_s - a.end_s || (a.slug > b.slug ? 1 : -1),
    );
    const next = ["5m", "15m"]
      .map((name) => store.current(name))
      .filter((contract) => contract && contract.phase !== "upcoming")
      .sort((a, b) => a.end_s - b.end_s)[0];
    put(
      this.empty,
      `No window has settled yet.${next ? ` Next: the ${next.name} window, at ${clock(next.end_s * 1000)} UTC.` : ""}`,
    );
    show(this.empty, items.length === 0);
    show(this.table.node, items.length > 0);
    put(this.panel.extra, items.length ? number(items.length, 0) : "");
    fillTable(
      this.table,
      items,
      (item) => item.slug,
      (cells, item) => {
        put(cells[0], minute(item.end_s));
        hint(cells[0], localTime(item.end_s * 1000));
        put(cells[1], item.name);
        hint(cells[1], item.slug);
        putOutcome(cells[2], item.outcome);
        put(cells[3], number(item.strike));
        hint(cells[3], sourceText(item.strike_source, item.strike_error, item.strike_rung));
        put(cells[4], number(item.final));
        hint(cells[4], sourceText(item.final_source, item.final_error, item.final_rung));
        put(cells[5], item.traded ? signedDollars(item.pnl) : "no trade");
        tone(cells[5], item.traded ? gain(item.pnl) : "quiet");
        put(cells[6], words(item.outcome_source ?? DASH));
        putState(cells[7], item.verdict, VERDICTS[item.verdict]);
      },
    );
  }
}

class MoneyPanel {
  constructor() {
    this.facts = facts("money", {
      today: "Realised today",
      session: "Realised, session",
      open: "Open cost",
      fees: "Fees paid",
    });
    this.loss = gauge("Loss limit");
    this.trades = gauge("Trades / h");
    this.panel = panel(
      "Money and limits",
      "money-panel",
      this.facts.node,
      el("div", "gauges", this.loss.node, this.trades.node),
    );
    this.node = this.panel.node;
  }

  paint(store) {
    const { money } = store.slow;
    const { cells } = this.facts;
    put(cells.today, signedDollars(money?.realised_today));
    tone(cells.today, gain(money?.realised_today));
    put(cells.session, signedDollars(money?.realised));
    tone(cells.session, gain(money?.realised));
    put(cells.open, dollars(money?.open_cost));
    put(cells.fees, dollars(money?.fees));
    put(this.panel.extra, money ? `${number(money.trades, 0)} trade${money.trades === 1 ? "" : "s"}` : "");
    const lost = money ? Math.max(0, -money.realised_today) : null;
    putGauge(
      this.loss,
      money ? lost / money.max_daily_loss : null,
      money ? `${dollars(lost)} of ${dollars(money.max_daily_loss, 0)}` : DASH,
    );
    putGauge(
      this.trades,
      money ? money.trades_last_hour / money.max_trades_per_hour : null,
      money ? `${number(money.trades_last_hour, 0)} of ${number(money.max_trades_per_hour, 0)}` : DASH,
    );
  }
}

class TapePanel {
  constructor() {
    this.table = table("tape", [{ label: "UTC" }, { label: "" }, { label: "window" }, { label: "event" }]);
    this.empty = el(
      "p",
      "empty",
      "Nothing has happened yet. Watches, hammers, orders, fills, gaps and settlements are listed here.",
    );
    this.panel = panel("Events", "tape-panel", el("div", "scroll", this.table.node), this.empty);
    this.node = this.panel.node;
  }

  paint(store) {
    const marks = [...store.marks.entries()].slice(-60).reverse();
    show(this.empty, marks.length === 0);
    show(this.table.node, marks.length > 0);
    fillTable(
      this.table,
      marks,
      (entry) => entry[0],
      (cells, [, mark]) => {
        if (cells[1].dataset.kind === mark.kind) return;
        cells[1].dataset.kind = mark.kind;
        put(cells[0], clock(mark.t_ms));
        hint(cells[0], localTime(mark.t_ms));
        const icon = chip("kind");
        putChip(icon, MARK_SHAPES[mark.kind] ?? "ring", mark.kind, mark.kind);
        cells[1].replaceChildren(icon.node);
        put(cells[2], mark.slug ? windowName(mark.slug) : DASH);
        hint(cells[2], mark.slug);
        put(cells[3], words(mark.text));
      },
    );
  }
}

function windowName(slug) {
  const parts = String(slug).split("-");
  const start = Number(parts.at(-1));
  return parts.length >= 4 && Number.isFinite(start) ? `${parts.at(-2)} ${minute(start)}` : slug;
}
