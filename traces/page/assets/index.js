// The index: all runs in a table that is filtered and sorted here; a few hundred rows are drawn at
// once, so that thousands stay quick.
const SHOWN = 200;

const COLUMNS = [
  { key: "name", label: "task", of: (row) => row.name, text: true },
  { key: "setting", label: "setting", of: (row) => row.setting, text: true },
  { key: "status", label: "status", of: (row) => ORDER.indexOf(row.status) },
  { key: "scored", label: "scored", of: (row) => (row.scored === null ? 2 : Number(row.scored)) },
  { key: "change", label: "change", of: (row) => CHANGES.indexOf(row.change) },
  { key: "tests", label: "tests", of: (row) => (row.tests ? row.passed / row.tests : -1), num: true },
  { key: "turns", label: "turns", of: (row) => row.turns, num: true },
  { key: "tokens", label: "tokens", of: (row) => row.tokens ?? -1, num: true },
  { key: "seconds", label: "time", of: (row) => row.seconds ?? -1, num: true },
  { key: "cost", label: "cost", of: (row) => row.cost ?? -1, num: true },
  { key: "model", label: "coder", of: (row) => row.model, text: true },
  { key: "created", label: "started (UTC)", of: (row) => row.created, text: true },
];
const ORDER = ["failed", "unfinished", "running", "waiting", "interrupted", "unsolved", "solved"];
const CHANGES = ["newly failing", "flaky", "no result", "still failing", "fixed", "new", "still passing", ""];
const chosen = { sort: null, down: false, words: "", status: "", setting: "", change: "" };

function showIndex() {
  remembered.shown = null;
  document.title = plain(contents.title);
  const rows = contents.index.rows;
  const has = (key, empty) => rows.some((row) => row[key] !== empty && row[key] !== null && row[key] !== undefined);
  const columns = COLUMNS.filter(({ key }) => key === "name" || has(key, ""));
  if (!chosen.sort) [chosen.sort, chosen.down] = contents.index.sort ?? ["name", false];
  const body = el("tbody"), told = el("p.note", { role: "status" }), more = el("div");
  const heads = columns.map((column) => headCell(column, () => draw()));
  let shown = SHOWN;
  const draw = (keep) => {
    if (!keep) shown = SHOWN;
    const found = sorted(rows.filter(passes));
    body.replaceChildren(...found.slice(0, shown).map((row) => indexRow(row, columns)));
    told.textContent = `${count(found.length)} of ${many(rows.length, "run")}`;
    more.replaceChildren();
    if (found.length > shown) {
      const button = el("button.more", { type: "button" }, `Show ${count(Math.min(SHOWN, found.length - shown))} more`);
      button.addEventListener("click", () => {
        shown += SHOWN;
        draw(true);
      });
      more.append(button);
    }
    heads.forEach(([head, column]) => head.setAttribute("aria-sort", chosen.sort !== column.key ? "none" : chosen.down ? "descending" : "ascending"));
  };
  main.replaceChildren(
    document.getElementById("outline") ? el("h2", {}, "Tasks") : el("h1", {}, contents.title),
    filters(rows, draw), told,
    el("div.scroll.index", { tabindex: "0", role: "region", "aria-label": "Runs" }, el("table.plain.runs", {}, el("thead", {}, el("tr", {}, ...heads.map(([head]) => head))), body)), more);
  draw();
}

function headCell(column, draw) {
  const button = el("button.sort", { type: "button" }, column.label);
  button.addEventListener("click", () => {
    chosen.down = chosen.sort === column.key ? !chosen.down : Boolean(column.num);
    chosen.sort = column.key;
    draw();
  });
  return [el(`th${column.num ? ".num" : ""}`, { scope: "col" }, button), column];
}

function sorted(rows) {
  const { of } = COLUMNS.find(({ key }) => key === chosen.sort) ?? COLUMNS[0];
  const way = chosen.down ? -1 : 1;
  const compare = (a, b) => (typeof a === "string" ? naturally.compare(a, b) : a - b);
  return rows.map((row) => [of(row), row]).sort(([a], [b]) => way * compare(a, b)).map(([, row]) => row);
}

const naturally = new Intl.Collator("en", { numeric: true });

function passes(row) {
  const words = chosen.words.toLowerCase();
  if (words && !`${row.name} ${row.title} ${row.id} ${row.setting} ${row.model}`.toLowerCase().includes(words)) return false;
  return ["status", "setting", "change"].every((key) => !chosen[key] || row[key] === chosen[key]);
}

function filters(rows, draw) {
  const search = el("input", { type: "search", id: "words", placeholder: "task, id, model …", value: chosen.words });
  search.addEventListener("input", () => {
    chosen.words = search.value;
    draw();
  });
  const picks = ["status", "setting", "change"].map((key) => {
    const values = [...new Set(rows.map((row) => row[key]).filter(Boolean))];
    if (values.length < 2) return null;
    const pick = el("select", { id: `pick-${key}` }, el("option", { value: "" }, "all"), ...values.map((value) => el("option", { value, selected: value === chosen[key] }, value)));
    pick.addEventListener("change", () => {
      chosen[key] = pick.value;
      draw();
    });
    return el("div", {}, el("label", { for: `pick-${key}` }, key), pick);
  });
  return el("div.filters", { role: "search" }, el("div", {}, el("label", { for: "words" }, "search"), search), ...picks.filter(Boolean));
}

function indexRow(row, columns) {
  const cells = {
    name: () => el("th", { scope: "row" }, packedEvents.has(`run:${row.id}`) ? el("a", { href: `#run/${shortId(row.id)}` }, row.name) : el("span", { title: row.id }, row.name), row.title && row.title !== row.name ? el("span.note.clip", {}, row.title) : null),
    setting: () => el("td", {}, row.setting),
    status: () => el("td", {}, badge(row.status)),
    scored: () => el("td", {}, row.scored === null ? null : badge(row.scored ? "passed" : "failed")),
    change: () => el("td", {}, row.change ? el(`span.change.c-${CHANGES.indexOf(row.change)}`, {}, row.change) : null),
    tests: () => el("td.num", {}, row.tests === null ? "" : `${row.passed}/${row.tests}`),
    turns: () => el("td.num", {}, count(row.turns)),
    tokens: () => el("td.num", {}, row.tokens === null ? "" : count(row.tokens)),
    seconds: () => el("td.num", {}, row.seconds === null ? "" : spent(row.seconds)),
    cost: () => el("td.num", {}, price(row.cost)),
    model: () => el("td", {}, el("span.clip", { title: row.model }, row.model)),
    created: () => el("td.nowrap", {}, row.created.slice(0, 16).replace("T", " ")),
  };
  return el("tr", {}, ...columns.map(({ key }) => cells[key]()));
}
