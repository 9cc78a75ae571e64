// The few things needed to build a panel once and then change only the cells that changed.

const SHAPES = {
  disc: '<circle cx="6" cy="6" r="4.5"/>',
  ring: '<circle cx="6" cy="6" r="3.8" fill="none" stroke="currentColor" stroke-width="1.8"/>',
  half: '<circle cx="6" cy="6" r="3.8" fill="none" stroke="currentColor" stroke-width="1.8"/><path d="M6 2.2a3.8 3.8 0 0 1 0 7.6z"/>',
  up: '<path d="M6 1.5 11 10.5H1z"/>',
  down: '<path d="M6 10.5 1 1.5h10z"/>',
  square: '<rect x="2" y="2" width="8" height="8"/>',
  diamond: '<path d="M6 .8 11.2 6 6 11.2.8 6z"/>',
  cross:
    '<path d="m2 2 8 8m0-8-8 8" fill="none" stroke="currentColor" stroke-width="2.4" stroke-linecap="round"/>',
  check:
    '<path d="m1.8 6.4 2.9 3 5.5-6.6" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"/>',
  bars: '<path d="M1.5 3h9v2.2h-9zM1.5 6.8h9V9h-9z"/>',
  split: '<path d="M2.2 1.5h2.6v9H2.2zM7.2 1.5h2.6v9H7.2z"/>',
  hollow: '<path d="M6 1.6 10.4 6 6 10.4 1.6 6z" fill="none" stroke="currentColor" stroke-width="1.8"/>',
  star: '<path d="M1 6h10M3.5 1.7l5 8.6m0-8.6-5 8.6" fill="none" stroke="currentColor" stroke-width="1.9" stroke-linecap="round"/>',
  warning:
    '<path d="M6 .9 11.6 11H.4z"/><path d="M6 4.4v3" stroke="var(--panel)" stroke-width="1.4"/><circle cx="6" cy="9.2" r=".9" fill="var(--panel)"/>',
};

function el(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function shape(name = "disc") {
  const node = el("span", "shape");
  node.setAttribute("aria-hidden", "true");
  putShape(node, name);
  return node;
}

function putShape(node, name) {
  if (node.dataset.shape === name) return;
  node.dataset.shape = name;
  node.innerHTML = `<svg viewBox="0 0 12 12" width="12" height="12" fill="currentColor">${SHAPES[name]}</svg>`;
}

// The text node stays and only its data changes: put anew, the browser would build its box again each time.
function put(node, text) {
  const inside = node.firstChild;
  if (inside?.nodeType === Node.TEXT_NODE && !inside.nextSibling) {
    if (inside.data !== text) inside.data = text;
  } else if (node.textContent !== text) node.textContent = text;
}

function hint(node, text) {
  if (node.title !== text) node.title = text;
}

function tone(node, name) {
  if (node.dataset.tone !== name) node.dataset.tone = name;
}

function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

function width(node, share) {
  const value = `${(Math.min(1, Math.max(0, share || 0)) * 100).toFixed(1)}%`;
  if (node.style.width !== value) node.style.width = value;
}

// A bar behind what an element holds, as wide as its share: no box of its own, which every repaint would visit.
function fill(node, share) {
  const value = `${(Math.min(1, Math.max(0, share || 0)) * 100).toFixed(1)}% 19px`;
  if (node.style.backgroundSize !== value) node.style.backgroundSize = value;
}

function chip(className = "") {
  const icon = shape();
  const word = el("span", "word");
  const node = el("span", `chip ${className}`, icon, word);
  return { node, icon, word };
}

function putChip(target, shapeName, text, toneName) {
  putShape(target.icon, shapeName);
  put(target.word, text);
  tone(target.node, toneName);
}

function panel(title, className, ...children) {
  const heading = el("h2", "", title);
  const extra = el("span", "extra");
  const head = el("header", "", heading, extra);
  const node = el("section", `panel ${className}`, head, ...children);
  node.setAttribute("aria-label", title);
  return { node, heading, extra };
}

// Labels above values: `fields` maps a key to its label; returns the value nodes by key.
function facts(className, fields) {
  const node = el("dl", `facts ${className}`);
  const cells = {};
  for (const [key, label] of Object.entries(fields)) {
    cells[key] = el("dd");
    node.append(el("div", `fact ${key}`, el("dt", "", label), cells[key]));
  }
  return { node, cells };
}

function table(className, columns) {
  const head = el("tr");
  for (const column of columns) {
    const cell = el("th", column.numeric ? "numeric" : "", column.label);
    cell.scope = "col";
    head.append(cell);
  }
  const body = el("tbody");
  const node = el("table", className, el("thead", "", head), body);
  return { node, body, columns };
}

// Make the body show `items`, reusing rows by key; `fill(cells, item)` writes only what changed.
function fillTable(target, items, keyOf, fill) {
  const { body, columns } = target;
  target.rows ??= new Map();
  const wanted = new Set();
  let place = body.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    wanted.add(key);
    let row = target.rows.get(key);
    if (!row) {
      const cells = columns.map((column) => el("td", column.numeric ? "numeric" : ""));
      row = { node: el("tr", "", ...cells), cells };
      target.rows.set(key, row);
    }
    if (row.node === place) place = place.nextSibling;
    else body.insertBefore(row.node, place);
    fill(row.cells, item, row.node);
  }
  for (const [key, row] of target.rows) {
    if (wanted.has(key)) continue;
    row.node.remove();
    target.rows.delete(key);
  }
}

// An outcome is a word, a shape and a colour, never a colour alone.
function putOutcome(cell, outcome) {
  if (cell.dataset.outcome === String(outcome)) return;
  cell.dataset.outcome = String(outcome);
  cell.replaceChildren();
  if (!outcome) {
    cell.append(DASH);
    return;
  }
  const up = outcome === "UP";
  const mark = el("span", "outcome", shape(up ? "up" : "down"), outcome);
  mark.dataset.tone = up ? "up" : "down";
  cell.append(mark);
}
