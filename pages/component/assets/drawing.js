// What is drawn on a chart beside its lines: gaps, boundaries, marks.

// The mark's shape says its kind; its colour only repeats it.
const MARK_SHAPES = {
  watch: "half",
  hammer: "diamond",
  order: "ring",
  fill: "disc",
  killed: "cross",
  settled: "square",
  gap: "warning",
  rule: "bars",
  drift: "split",
  breaker: "split",
  fallback: "hollow",
  frozen: "star",
  restriction: "bars",
  mode: "square",
  alarm: "warning",
};

// Its word stands below the boundaries' words and clear of the marks, which stand at the foot; `free` is where the
// word of the gap before ends.
function hatch(chart, [from, to], colours, free) {
  const { ctx, bbox } = chart;
  const left = chart.valToPos(from, "x", true);
  const right = chart.valToPos(to, "x", true);
  if (right < bbox.left || left > bbox.left + bbox.width) return free;
  ctx.fillStyle = colours.gap;
  ctx.fillRect(left, bbox.top, right - left, bbox.height);
  ctx.fillStyle = colours.quiet;
  ctx.font = colours.canvasFont;
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  const [middle, wide] = [(left + right) / 2, ctx.measureText("gap").width];
  if (middle - wide / 2 <= free) return free;
  ctx.fillText("gap", middle, bbox.top + 20 * devicePixelRatio);
  return middle + wide / 2 + 4 * devicePixelRatio;
}

function upright(chart, second, [text, align], colours) {
  const { ctx, bbox } = chart;
  const x = Math.round(chart.valToPos(second, "x", true)) + 0.5;
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  ctx.strokeStyle = colours.quiet;
  ctx.lineWidth = 1;
  ctx.setLineDash([2, 3]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.fillStyle = colours.quiet;
  ctx.font = colours.canvasFont;
  ctx.textBaseline = "top";
  ctx.textAlign = align;
  ctx.fillText(text, x + (align === "left" ? 4 : -4) * devicePixelRatio, bbox.top + 3);
}

function drawMark(chart, mark, colours) {
  const { ctx, bbox } = chart;
  const x = chart.valToPos(mark.t_ms / 1000, "x", true);
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  const size = 5 * devicePixelRatio;
  const y = bbox.top + bbox.height - (2 + 3 * (mark.row ?? 0)) * size - size;
  ctx.fillStyle = ctx.strokeStyle = colours.marks[mark.kind] ?? colours.quiet;
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.setLineDash([]);
  markPath(ctx, MARK_SHAPES[mark.kind], x, y, size);
}

function markPath(ctx, name, x, y, size) {
  ctx.beginPath();
  if (name === "diamond") {
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, y);
    ctx.lineTo(x, y + size);
    ctx.lineTo(x - size, y);
    ctx.fill();
  } else if (name === "square") {
    ctx.fillRect(x - size * 0.8, y - size * 0.8, size * 1.6, size * 1.6);
  } else if (name === "bars") {
    ctx.fillRect(x - size * 0.9, y - size * 0.7, size * 1.8, size * 0.5);
    ctx.fillRect(x - size * 0.9, y + size * 0.2, size * 1.8, size * 0.5);
  } else if (name === "split") {
    ctx.fillRect(x - size * 0.7, y - size * 0.9, size * 0.5, size * 1.8);
    ctx.fillRect(x + size * 0.2, y - size * 0.9, size * 0.5, size * 1.8);
  } else if (name === "cross") {
    ctx.moveTo(x - size * 0.8, y - size * 0.8);
    ctx.lineTo(x + size * 0.8, y + size * 0.8);
    ctx.moveTo(x + size * 0.8, y - size * 0.8);
    ctx.lineTo(x - size * 0.8, y + size * 0.8);
    ctx.stroke();
  } else if (name === "hollow") {
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, y);
    ctx.lineTo(x, y + size);
    ctx.lineTo(x - size, y);
    ctx.closePath();
    ctx.stroke();
  } else if (name === "star") {
    for (const turn of [0, 1, 2]) {
      const [dx, dy] = [Math.cos((turn * Math.PI) / 3) * size, Math.sin((turn * Math.PI) / 3) * size];
      ctx.moveTo(x - dx, y - dy);
      ctx.lineTo(x + dx, y + dy);
    }
    ctx.stroke();
  } else if (name === "warning") {
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, y + size);
    ctx.lineTo(x - size, y + size);
    ctx.fill();
  } else {
    ctx.arc(x, y, size * 0.85, 0, 7);
    if (name === "disc") ctx.fill();
    else ctx.stroke();
    if (name === "half") {
      ctx.beginPath();
      ctx.arc(x, y, size * 0.85, -Math.PI / 2, Math.PI / 2);
      ctx.fill();
    }
  }
}
