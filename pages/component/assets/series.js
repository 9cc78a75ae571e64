// From what the store knows to what a chart draws.

// Ticks as uPlot wants them. A second that is missing breaks the line; where it is long enough it is a named gap.
function columnsOf(ticks, slug, [from, to], rate) {
  const names = ["t", "twap", "chainlink", "spot", "divergence", "z", "ev_up", "ev_down", "p_up", "ask_up", "even_up"];
  const columns = Object.fromEntries(names.map((name) => [name, []]));
  const gaps = [];
  const step = Math.max(2.5, rate * 0.6); // at a scaled clock a frame may skip seconds without anything missing
  let lastKnown = null;
  let lastTime = null;
  for (const [t, twap, chainlink, spot, divergence, contracts] of ticks) {
    if (t < from - step || t > to + step) continue;
    if (lastTime !== null && t - lastTime > step) pushRow(columns, lastTime + 0.5, []);
    lastTime = t;
    const own = contracts[slug] ?? [];
    pushRow(columns, t, [twap, chainlink, spot, divergence, own[1], own[3], own[4], own[2], own[5], own[7]]);
    if (twap === null) continue;
    if (lastKnown !== null && t - lastKnown > Math.max(3, step)) gaps.push([lastKnown, t]);
    lastKnown = t;
  }
  if (lastKnown !== null && lastTime - lastKnown > Math.max(3, step)) gaps.push([lastKnown, lastTime]);
  return { columns, gaps };
}

function pushRow(columns, t, [twap, chainlink, spot, divergence, z, evUp, evDown, pUp, askUp, evenUp]) {
  columns.t.push(t);
  columns.twap.push(twap ?? null);
  columns.chainlink.push(chainlink ?? null);
  columns.spot.push(spot ?? null);
  columns.divergence.push(divergence ?? null);
  columns.z.push(z ?? null);
  columns.ev_up.push(evUp ?? null);
  columns.ev_down.push(evDown ?? null);
  columns.p_up.push(pUp ?? null);
  columns.ask_up.push(askUp ?? null);
  columns.even_up.push(evenUp ?? null);
}

// Marks of one window and of the feeds; those close together are stacked.
function placed(marks, slug) {
  let lastTime = -Infinity;
  let row = 0;
  return marks
    .filter((mark) => mark.slug === slug || mark.slug === "") // none: it concerns every window
    .sort((a, b) => a.t_ms - b.t_ms)
    .map((mark) => {
      row = mark.t_ms - lastTime < 4000 ? row + 1 : 0;
      lastTime = mark.t_ms;
      return { ...mark, row };
    });
}
