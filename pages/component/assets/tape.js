// The tape of events.

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
    if (this.store) this.paint(this);
  }

  paint({ store }) {
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
