// Where prices come from: how each topic is delivered, what contracts settle on, the connections below them.

// A state is a word and a shape; the colour only repeats it.
const TOPIC_STATES = {
  fresh: ["disc", "ok"],
  late: ["half", "warn"],
  stale: ["warning", "alarm"],
  frozen: ["star", "alarm"],
  waiting: ["ring", "quiet"],
};

const CLOCK_WARN_MS = 1000; // the fault catalogue, F8: over 1 s warn; from where on it blocks, the engine says

function topicState(topic) {
  return TOPIC_STATES[topic.state] ?? ["warning", "alarm"];
}

// The middle and the late end of a lag as one figure: how late a value usually is, and how late one in twenty.
function lagText(topic) {
  return known(topic.lag_p50_s) ? `lag ${number(topic.lag_p50_s, 1)} / ${number(topic.lag_p95_s, 1)} s` : "";
}

function topicHint(topic) {
  return [
    `received after the time it is of: half within ${age(topic.lag_p50_s)}, 95 % within ${age(topic.lag_p95_s)}, 99 % within ${age(topic.lag_p99_s)}`,
    `${number(topic.missing, 0)} of the last 300 seconds never came, ${number(topic.lost, 0)} frames were skipped by the feed`,
  ].join("\n");
}

// [shape, text, tone] of our clock against the venue's.
function clockState(view) {
  const skew = view?.skew_ms ?? null;
  const text = known(skew) ? `${signed(skew, 0)} ms` : DASH;
  if (view?.ok === false) return ["cross", `clock WRONG ${text}`, "alarm"];
  if (known(skew) && Math.abs(skew) > CLOCK_WARN_MS) return ["warning", `clock OFF ${text}`, "warn"];
  if (view?.ok !== true) return ["ring", `clock ${known(skew) ? "unchecked " : ""}${text}`, "quiet"];
  return ["disc", `clock ${text}`, "ok"];
}

const CLOCK_SOURCES = { time: "GET /time, whole seconds", clock: "its own scaled clock" };

function clockHint(view, drift) {
  const by = CLOCK_SOURCES[view?.source] ?? view?.source;
  const lines = [
    known(view?.skew_ms)
      ? `our clock less the venue's, by ${by}; round trip ${milliseconds(view.round_trip_ms)}, ${age(view.age_s + drift)} ago`
      : "our clock less the venue's: not measured yet",
  ];
  if (view?.ok === false)
    lines.push("No new orders: it is too far off, or stamps arrive that lie ahead of it.");
  return lines.join("\n");
}

class FeedsPanel {
  constructor() {
    this.topics = table("topics-table", [
      { label: "topic" },
      { label: "value", numeric: true },
      { label: "silent", numeric: true },
      { label: "lag p50", numeric: true },
      { label: "p95", numeric: true },
      { label: "p99", numeric: true },
      { label: "missing", numeric: true },
      { label: "lost", numeric: true },
    ]);
    this.topics.node.title = "missing: of the last 300 s, seconds that never came; lost: frames the feed skipped";
    this.feeds = table("feeds-table", [
      { label: "connection" },
      { label: "silent", numeric: true },
      { label: "frames", numeric: true },
      { label: "refused", numeric: true },
      { label: "reconn.", numeric: true },
    ]);
    this.empty = el("p", "empty", "No feed has been opened yet.");
    this.canonical = new CanonicalPrices();
    this.beats = new Heartbeats();
    const parts = [this.beats, this.topics, this.canonical, this.feeds].map((part) => part.node);
    this.panel = panel("Feeds", "feeds-panel", ...parts, this.empty);
    this.node = this.panel.node;
  }

  paint({ store, at }) {
    const drift = store.drift(at);
    this.beats.paint(store, at);
    const feeds = store.head?.feeds ?? [];
    show(this.empty, feeds.length === 0);
    show(this.feeds.node, feeds.length > 0);
    this.paintTopics(store.head?.topics ?? [], store.head?.prices ?? [], drift);
    this.canonical.paint(store, drift);
    fillTable(
      this.feeds,
      feeds,
      (feed) => feed.name,
      (cells, feed) => {
        const [shapeName, word, toneName] = feedState(feed);
        putState(cells[0], word ? `${feed.name} ${word}` : feed.name, [shapeName, toneName]);
        hint(cells[0], feed.detail);
        put(cells[1], known(feed.age_s) ? age(feed.age_s + drift) : DASH);
        put(cells[2], number(feed.frames, 0));
        put(cells[3], number(feed.refused, 0));
        tone(cells[3], feed.refused > 0 ? "warn" : "quiet");
        put(cells[4], number(feed.reconnects, 0));
      },
    );
  }

  paintTopics(topics, prices, drift) {
    show(this.topics.node, topics.length > 0);
    fillTable(
      this.topics,
      topics,
      (topic) => topic.name,
      (cells, topic, row) => {
        const price = prices.find((one) => one.source === topic.name);
        putState(cells[0], `${topic.name} ${topic.state}`, topicState(topic));
        hint(row, topicHint(topic));
        put(cells[1], number(price?.value));
        hint(cells[1], price ? `of ${localTime(price.stamp_ms)}` : "");
        put(cells[2], known(topic.age_s) ? age(topic.age_s + drift) : DASH);
        put(cells[3], age(topic.lag_p50_s));
        put(cells[4], age(topic.lag_p95_s));
        put(cells[5], age(topic.lag_p99_s));
        put(cells[6], number(topic.missing, 0));
        put(cells[7], number(topic.lost, 0));
        tone(cells[7], topic.lost > 0 ? "warn" : "quiet");
      },
    );
  }
}

// The price that contracts settle on: the rung in use, how good it is, every rung with its age; what was refused.
class CanonicalPrices {
  constructor() {
    this.table = table("canonical", [
      { label: "settles on" },
      { label: "value", numeric: true },
      { label: "age", numeric: true },
      { label: "coverage", numeric: true },
      { label: "error", numeric: true },
    ]);
    this.empty = el("p", "empty", "Waiting for the first report of the settlement feed.");
    this.bad = el("p", "bad-prices");
    this.node = el("div", "canonical-prices", this.table.node, this.empty, this.bad);
  }

  paint(store, drift) {
    const views = store.head?.canonical ?? [];
    show(this.table.node, views.length > 0);
    show(this.empty, views.length === 0 && store.head !== null);
    const rows = views.flatMap((view) => [
      { key: view.rule, view },
      ...view.rungs.map(([name, seconds]) => ({ key: `${view.rule} ${name}`, view, name, seconds })),
    ]);
    fillTable(
      this.table,
      rows,
      (row) => row.key,
      (cells, row, node) => {
        if (row.name) this.putRung(cells, row, node, store, drift);
        else this.putRule(cells, row, node, drift);
      },
    );
    const bad = Object.entries(store.slow.bad_prices ?? {}).filter(([, count]) => count > 0);
    const counts = bad.map(([name, count]) => `${words(name)} ${number(count, 0)}`);
    put(this.bad, `Prices refused or late: ${counts.join(" · ")}`);
    show(this.bad, bad.length > 0);
  }

  putRule(cells, { view }, node, drift) {
    node.className = "rule-row";
    put(cells[0], view.rule);
    put(cells[1], number(view.value));
    hint(cells[1], `${view.value}\nof ${localTime(view.stamp_ms)}`);
    put(cells[2], age(view.age_s + drift));
    put(cells[3], percent(view.coverage, 0));
    put(cells[4], view.error_usd > 0 ? `± ${dollars(view.error_usd)}` : "none");
  }

  putRung(cells, { view, name, seconds }, node, store, drift) {
    const used = name === view.rung;
    node.className = used ? "rung-row used" : "rung-row";
    const stale = used && isStale(view, store, drift);
    const state = stale ? ["warning", "alarm"] : used ? ["disc", "good"] : ["ring", "quiet"];
    putState(cells[0], `${name}${used ? ", in use" : ""}${stale ? ", STALE" : ""}`, state);
    put(cells[2], known(seconds) ? age(seconds + drift) : DASH);
  }
}

// Where no rung is fresh, the one in use is the one that spoke last.
function isStale(view, store, drift) {
  return view.age_s + drift > store.priceStale;
}

// [shape, word, tone] of the rung in use.
function rungState(view, store, drift) {
  if (isStale(view, store, drift)) return ["warning", "STALE", "alarm"];
  return view.error_usd === 0 ? ["disc", "", "ok"] : ["half", "", "warn"];
}

function feedState(feed) {
  if (!feed.connected) return ["cross", "DOWN", "alarm"];
  if (feed.stale) return ["warning", "STALE", "alarm"];
  return ["disc", "", "ok"];
}
