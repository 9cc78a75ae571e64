// The last decision and its gates.

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

  paint({ store, contract }) {
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
    show(this.gates.node, decision.gates.length > 0); // of a window that is over there are none
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
