// Code as a table of lines: as it is, as a change to the draft before, or beside another run's.
const AROUND = 3;

function pieces(line) {
  const made = [];
  for (let at = 0; at < line.length; at += 2) {
    made.push(line[at] ? el(`span.t-${line[at]}`, {}, line[at + 1]) : line[at + 1]);
  }
  return made;
}

const codeLine = (line) => el("code", {}, ...(line ? pieces(line) : []));

function codeTable(rows, label) {
  return el("div.code", { tabindex: "0", role: "region", "aria-label": label }, el("table.lines", {}, el("tbody", {}, ...rows)));
}

const number = (value) => el("td.no", { "data-no": value || "" });

function wholeCode(lines, label = "code") {
  return codeTable(lines.map((line, at) => el("tr", {}, number(at + 1), el("td", {}, codeLine(line)))), label);
}

// Long stretches of equal lines are folded into one row, which opens them.
function withFolds(rows, columns) {
  const made = [];
  let equal = [];
  const flush = (last) => {
    const first = made.length === 0;
    const head = first ? 0 : AROUND, tail = last ? 0 : AROUND;
    if (equal.length <= head + tail + 2) made.push(...equal);
    else {
      const hidden = equal.slice(head, equal.length - tail);
      const open = el("button.fold", { type: "button" }, `⋯ ${many(hidden.length, "equal line")}`);
      const row = el("tr.folds", {}, el("td", { colspan: columns }, open));
      open.addEventListener("click", () => row.replaceWith(...hidden));
      made.push(...equal.slice(0, head), row, ...equal.slice(equal.length - tail));
    }
    equal = [];
  };
  for (const [row, changed] of rows) {
    if (!changed) equal.push(row);
    else {
      flush(false);
      made.push(row);
    }
  }
  flush(true);
  return made;
}

function changedCode(draft) {
  const removed = new Map(draft.removed);
  return unified(draft.rows, (at) => removed.get(at), (at) => draft.code[at - 1], "change since the last draft");
}

// One program as a change of another, by functions that give their lines.
function unified(pairs, old, now, label) {
  const rows = pairs.map(([before, after]) => {
    const kind = before && after ? "same" : after ? "added" : "removed";
    const mark = { same: " ", added: "+", removed: "−" }[kind];
    const words = { same: "", added: "added: ", removed: "removed: " }[kind];
    return [el(`tr.${kind}`, {}, number(before), number(after), el("td.mark", {}, el("span.visually-hidden", {}, words), el("span", { "aria-hidden": "true" }, mark)), el("td", {}, codeLine(after ? now(after) : old(before)))), kind !== "same"];
  });
  return codeTable(withFolds(rows, 4), label);
}

function sideBySide(rows, left, right) {
  const made = [];
  let gone = [], come = [];
  const flush = () => {
    for (let at = 0; at < Math.max(gone.length, come.length); at += 1) made.push([pair(gone[at], come[at]), true]);
    gone = [];
    come = [];
  };
  const pair = (before, after) => {
    const changed = !(before && after && rowSame.has(`${before}:${after}`));
    return el("tr", {}, number(before), cell(left, before, changed && "removed"), number(after), cell(right, after, changed && "added"));
  };
  const cell = (lines, at, kind) => el(`td${!at ? ".gap" : kind ? `.${kind}` : ""}`, {}, at ? codeLine(lines[at - 1]) : null);
  const rowSame = new Set(rows.filter(([a, b]) => a && b).map(([a, b]) => `${a}:${b}`));
  for (const [before, after] of rows) {
    if (before && after) {
      flush();
      made.push([pair(before, after), false]);
    } else if (before) gone.push(before);
    else come.push(after);
  }
  flush();
  return el("div.code.sides", { tabindex: "0", role: "region", "aria-label": "both programs" }, el("table.lines", {}, el("tbody", {}, ...withFolds(made, 4))));
}
