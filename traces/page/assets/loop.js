// The loop as a drawing; the edges that a run took are marked, with how often it took them.
const PLACES = {
  start: [28, 52], coder: [104, 52], executor: [256, 52], critic: [104, 172], judge: [256, 172],
  end: [256, 244],
};
const EDGES = [
  ["start", "coder", "M36 52H68", null],
  ["coder", "executor", "M140 52H220", "code"],
  ["executor", "judge", "M256 70V154", null],
  ["judge", "critic", "M220 172H140", "revise"],
  ["critic", "coder", "M104 154V70", "words"],
  ["coder", "judge", "M134 70L226 154", "no code"],
  ["critic", "executor", "M134 154L226 70", "edit"],
  ["judge", "end", "M256 190V235", "solved, stopped"],
  ["critic", "end", "M104 190V230Q104 244 118 244H247", "approved, stopped"],
  ["start", "executor", "M28 43V20Q28 12 36 12H248Q256 12 256 20V34", null],
  ["start", "judge", "M19 52Q8 52 8 64V206Q8 214 16 214H212Q232 214 236 190", null],
  ["start", "critic", "M28 61V164Q28 172 36 172H68", null],
];
const LABELS = {
  code: [180, 45], revise: [180, 187], words: [99, 116], "no code": [166, 88], edit: [166, 140],
  "solved, stopped": [262, 214], "approved, stopped": [180, 239],
};

function loopDrawing(path) {
  const taken = new Map(path.map(([from, to, times]) => [`${from}>${to}`, times ?? 1]));
  const drawn = [];
  for (const [from, to, line, label] of EDGES) {
    const times = taken.get(`${from}>${to}`);
    const common = !(from === "start" && to !== "coder");
    if (!times && !common) continue;
    drawn.push(svg("path", {
      d: line, class: times ? "edge taken" : "edge", "data-edge": `${from}>${to}`,
      "marker-end": "url(#arrow)",
    }));
    if (label) {
      const [x, y] = LABELS[label];
      const anchor = label === "words" ? "end" : label === "solved, stopped" ? "start" : "middle";
      const words = times > 1 ? `${label} ×${times}` : label;
      drawn.push(svg("text", { x, y, "text-anchor": anchor, class: times ? "on" : "off" }, words));
    }
  }
  const visited = new Set(path.flatMap(([from, to]) => [from, to]));
  for (const [name, [x, y]] of Object.entries(PLACES)) {
    const tone = visited.has(name) ? "node taken" : "node";
    if (name === "start" || name === "end") {
      drawn.push(svg("circle", { cx: x, cy: y, r: 8, class: tone, "data-node": name }));
      if (name === "end") drawn.push(svg("circle", { cx: x, cy: y, r: 3.5, class: tone + " core" }));
    } else {
      drawn.push(svg("rect", { x: x - 36, y: y - 18, width: 72, height: 36, rx: 9, class: tone, "data-node": name }));
      drawn.push(svg("text", { x, y: y + 4, "text-anchor": "middle", class: "name" }, name));
    }
  }
  const said = path.map(([from, to, times]) => `${from} to ${to}${times > 1 ? `, ${times} times` : ""}`);
  return svg("svg", { viewBox: "0 0 348 262", class: "loop", role: "img", "aria-label": "The path through the loop: " + (said.join("; ") || "none") },
    svg("defs", {}, arrow()), ...drawn);
}

function arrow() {
  return svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" },
    svg("path", { d: "M0 0L8 4L0 8z", class: "arrow" }));
}

function markTurn(drawing, steps) {
  for (const marked of drawing.querySelectorAll(".now")) marked.classList.remove("now");
  for (const [from, to] of steps) {
    drawing.querySelector(`[data-edge="${from}>${to}"]`)?.classList.add("now");
    drawing.querySelector(`[data-node="${to}"]`)?.classList.add("now");
  }
}
