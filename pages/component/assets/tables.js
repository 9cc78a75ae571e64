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
  signed: ["ring", "watch"],
  sent: ["half", "watch"],
  filled: ["disc", "good"],
  partial: ["half", "good"],
  killed: ["cross", "quiet"],
  denied: ["cross", "warn"],
  rejected: ["cross", "warn"],
  failed: ["warning", "alarm"],
  unknown: ["warning", "alarm"],
};

const ORDER_COLUMNS = [
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
];

// An order takes two rows: what it is, and its life below it.
class OrdersPanel {
  constructor() {
    this.table = table("orders", ORDER_COLUMNS);
    this.lives = new Map();
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
    const rows = orders.flatMap((order) => [
      { key: order.order_id, order },
      { key: `${order.order_id} life`, order, life: true },
    ]);
    fillTable(
      this.table,
      rows,
      (row) => row.key,
      (cells, row, node) => (row.life ? this.putLife(cells, row, node) : putOrder(cells, row.order, node)),
    );
    for (const key of this.lives.keys()) if (!rows.some((row) => row.key === key)) this.lives.delete(key);
  }

  putLife(cells, { key, order }, node) {
    let life = this.lives.get(key);
    if (!life) {
      life = new OrderLife();
      this.lives.set(key, life);
      node.className = "life";
      cells[0].colSpan = ORDER_COLUMNS.length;
      cells[0].append(life.node);
      for (const cell of cells.slice(1)) cell.remove();
    }
    life.paint(order);
  }
}

function putOrder(cells, order, row) {
  row.classList.add("order");
  put(cells[0], clock(order.at_ms));
  hint(cells[0], `${localTime(order.at_ms)}\n${order.order_id}\n${order.venue_order_id}`);
  put(cells[1], windowName(order.slug));
  hint(cells[1], order.slug);
  putOutcome(cells[2], order.outcome);
  put(cells[3], sharePrice(order.limit_price));
  put(cells[4], order.side === "SELL" ? "sell" : number(order.usd));
  putState(cells[5], order.state, ORDER_STATES[order.state] ?? ["warning", "alarm"]);
  put(cells[6], order.filled_shares ? number(order.filled_shares) : DASH);
  put(cells[7], known(order.average_price) ? number(order.average_price, 4) : DASH);
  put(cells[8], order.filled_shares ? dollars(order.fee) : DASH);
  put(cells[9], words(order.reason));
  row.classList.toggle("dim", order.state === "killed" || order.state === "denied");
}

const LIFE_STEPS = [
  ["sign", "signed", "sign_ms"],
  ["send", "first byte", "send_ms"],
  ["answer", "answered", "answer_ms"],
];

// The steps an order has taken: a bar as long as each took, the same in words, and what came of it afterwards.
class OrderLife {
  constructor() {
    this.parts = LIFE_STEPS.map(([name]) => el("i", name));
    this.bar = el("span", "waterfall", ...this.parts);
    this.steps = el("span", "steps");
    this.after = el("span", "after");
    this.node = el("div", "order-life", this.bar, this.steps, this.after);
    this.bar.setAttribute("aria-hidden", "true");
  }

  paint(order) {
    LIFE_STEPS.forEach(([, , field], index) => {
      const value = `${known(order[field]) ? Math.max(order[field], 0.01) : 0} 0 0px`;
      if (this.parts[index].dataset.flex === value) return;
      this.parts[index].dataset.flex = value;
      this.parts[index].style.flex = value;
    });
    const steps = LIFE_STEPS.filter(([, , field]) => known(order[field]));
    const taken = steps.map(
      ([, word, field]) => `${word} ${number(order[field], order[field] < 10 ? 1 : 0)} ms`,
    );
    show(this.bar, steps.length > 0);
    const end = order.settlement ? [`trade ${words(order.settlement).toLowerCase()}`] : [];
    put(this.steps, ["intended", ...taken, order.state, ...end].join(" → "));
    put(this.after, afterwards(order));
  }
}

function afterwards(order) {
  const marks = Object.entries(order.markouts ?? {}).map(([after, usd]) => `${after} s ${cents(usd)}`);
  const assumed = (order.assumed ?? []).map(
    ({ name, shares, average_price: price }) =>
      `${words(name)} ${shares ? `${number(shares, 1)} at ${number(price, 4)}` : "no fill"}`,
  );
  return [
    marks.length ? `markout ${marks.join(", ")}` : "",
    assumed.length ? `paper assumptions: ${assumed.join(" · ")}` : "",
    known(order.settled_value) ? `paid ${number(order.settled_value)} a share` : "",
  ]
    .filter(Boolean)
    .join(" · ");
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

// The bars are the gates' own count: what is used, and, striped, what one order more would add.
class MoneyPanel {
  constructor() {
    this.facts = facts("money", {
      today: "Realised today",
      session: "Realised, session",
      open: "Open cost",
      fees: "Fees paid",
    });
    this.limits = el("div", "gauges limits");
    this.rows = new Map();
    this.empty = el("p", "empty", "Limits are shown from the engine's first picture on.");
    this.panel = panel("Money and limits", "money-panel", this.facts.node, this.limits, this.empty);
    this.node = this.panel.node;
  }

  paint(store) {
    const { money, account } = store.slow;
    const { cells } = this.facts;
    put(cells.today, signedDollars(money?.realised_today));
    tone(cells.today, gain(money?.realised_today));
    put(cells.session, signedDollars(money?.realised));
    tone(cells.session, gain(money?.realised));
    put(cells.open, dollars(money?.open_cost));
    put(cells.fees, dollars(money?.fees));
    put(this.panel.extra, money ? `${number(money.trades, 0)} trade${money.trades === 1 ? "" : "s"}` : "");
    const limits = account?.used ?? [];
    show(this.empty, limits.length === 0);
    for (const limit of limits) this.paintLimit(limit);
  }

  paintLimit(limit) {
    let row = this.rows.get(limit.name);
    if (!row) {
      row = gauge(limit.name);
      row.next = el("u", "next");
      row.bar.before(row.next);
      row.full = shape("check");
      row.node.firstChild.prepend(row.full, " ");
      this.rows.set(limit.name, row);
      this.limits.append(row.node);
    }
    const inUnit = (value) => (limit.unit === "$" ? dollars(value) : number(value, 0));
    const share = known(limit.limit) && limit.limit > 0 ? limit.used / limit.limit : 0;
    const next = known(limit.limit) && limit.limit > 0 ? limit.after / limit.limit : 0;
    const free = limit.name === "balance";
    putGauge(
      row,
      share,
      free
        ? `order ${inUnit(limit.after)} of ${inUnit(limit.limit)}`
        : `${inUnit(limit.used)} of ${inUnit(limit.limit)}`,
    );
    width(row.next, next);
    putShape(row.full, limit.over ? "cross" : "check");
    tone(row.full, limit.over ? "warn" : "good");
    tone(row.value, limit.over ? "warn" : "");
    row.node.classList.toggle("over", limit.over);
    hint(
      row.node,
      `${inUnit(limit.used)} used, ${inUnit(limit.after)} with one order more, limit ${inUnit(limit.limit)}` +
        `${limit.over ? ": refuses another order" : ""}`,
    );
  }
}

const TAPE_KINDS = {
  all: null,
  trades: ["order", "fill", "killed"],
  windows: ["watch", "hammer", "settled"],
  feeds: ["gap", "fallback", "frozen", "rule", "drift"],
  safety: ["breaker", "restriction", "mode", "alarm"],
};
const TAPE_LIMIT = 60;

class TapePanel {
  constructor() {
    this.table = table("tape", [{ label: "UTC" }, { label: "" }, { label: "window" }, { label: "event" }]);
    this.empty = el("p", "empty");
    this.filter = "all";
    this.buttons = Object.keys(TAPE_KINDS).map((name) => {
      const button = el("button", "filter", name);
      button.type = "button";
      button.addEventListener("click", () => this.choose(name));
      return button;
    });
    const filters = el("div", "filters", ...this.buttons);
    filters.setAttribute("role", "group");
    filters.setAttribute("aria-label", "Show events of");
    this.panel = panel("Events", "tape-panel", filters, el("div", "scroll", this.table.node), this.empty);
    this.node = this.panel.node;
    this.choose("all");
  }

  choose(name) {
    this.filter = name;
    for (const button of this.buttons)
      button.setAttribute("aria-pressed", String(button.textContent === name));
    if (this.store) this.paint(this.store);
  }

  paint(store) {
    this.store = store;
    const kinds = TAPE_KINDS[this.filter];
    const marks = [...store.marks.entries()]
      .filter(([, mark]) => kinds === null || kinds.includes(mark.kind))
      .slice(-TAPE_LIMIT)
      .reverse();
    put(
      this.empty,
      this.filter === "all"
        ? "Nothing has happened yet. Watches, hammers, orders, fills, gaps and settlements are listed here."
        : `No event of this kind (${this.filter}) yet.`,
    );
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
