// Two runs side by side: their common beginning in one row, then turn by turn from where they part.
function pairOf(one, other) {
  return [`pair:${one}:${other}`, `pair:${other}:${one}`].find((name) => packedEvents.has(name));
}

async function showComparison(first, second) {
  remembered.shown = null;
  const found = await load(pairOf(first, second) ?? "");
  const runs = await Promise.all([first, second].map((id) => load(`run:${id}`)));
  if (!found || !runs[0] || !runs[1]) return missing(first);
  const turned = found.first !== first;
  const view = turned ? turnedAround(found) : found;
  const body = el("div.compared");
  main.replaceChildren(compareHead(view, runs), body);
  document.title = `${shortId(first)} beside ${shortId(second)}`;
  for (const turn of view.turns) body.append(await comparedTurn(turn, runs, turn === view.turns[0]));
}

function turnedAround(found) {
  const swap = (pair) => pair && [pair[1], pair[0]];
  return { ...found, first: found.second, second: found.first,
    settings: found.settings.map(([name, a, b]) => [name, b, a]),
    turns: found.turns.map((turn) => ({ ...turn, only: { first: "second", second: "first", "": "" }[turn.only], rows: turn.rows && turn.rows.map(swap), tests: turn.tests.map(([name, a, b]) => [name, b, a]), tokens: swap(turn.tokens), seconds: swap(turn.seconds), cost: swap(turn.cost) })) };
}


function compareHead(view, runs) {
  return el("header.run-head", {},
    el("p.crumb", {}, contents.index ? el("a", { href: "#index" }, "All runs") : null),
    el("h1", {}, "Two runs side by side"),
    el("div.sides-head", {}, ...runs.map((run, at) => el("div.card", {}, el("p.side-name", {}, at ? "second " : "first ", runLink(run.id), " ", badge(statusNow(run))), el("p.note", {}, run.title), run.reason ? el("p.note", {}, run.reason) : null))),
    otherPairs(view),
    totals(runs),
    onlyDifference(view),
    view.task.length ? folded("Their tasks differ", () => longText(view.task.join("\n")), true) : null,
    view.stem ? el("p.stem", {}, el("span", { "aria-hidden": "true" }, "≡ "), `Turns 1 to ${view.stem} are equal`.replace("Turns 1 to 1 are", "Turn 1 is")) : null,
    parting(view));
}

// A page of three runs or more has each pair of them.
function otherPairs(view) {
  const others = contents.index ? [] : contents.runs.filter((run) => ![view.first, view.second].includes(run.id) && pairOf(view.first, run.id));
  return others.length ? el("p.note", {}, "The first run beside ", ...others.flatMap((run, at) => [at ? ", " : "", el("a.mono", { href: `#compare/${shortId(view.first)}/${shortId(run.id)}` }, shortId(run.id))])) : null;
}

// Runs may take the same turns under other settings or for another task: then they are not alike.
function parting(view) {
  const [turn] = view.turns;
  if (turn) {
    const words = turn.only ? `They part at turn ${turn.number}, which only the ${turn.only} run has` : `They part at turn ${turn.number}`;
    return el("p.parted", { id: "parted" }, el("span", { "aria-hidden": "true" }, "≠ "), words);
  }
  if (view.settings.length || view.task.length) return null;
  return el("p.verdict", {}, badge("ok", "alike"), " in everything that is compared");
}

function totals(runs) {
  const rows = [["turns", (run) => run.turns.length, count], ["tokens", (run) => run.tokens, counted], ["active time", (run) => run.seconds, spent], ["cost", (run) => run.cost, price]];
  return el("div.scroll", { tabindex: "0", role: "region", "aria-label": "Totals" }, el("table.plain.totals", {}, el("thead", {}, el("tr", {}, el("td"), ...["first", "second", "difference"].map((name) => el("th.num", { scope: "col" }, name)))), el("tbody", {}, ...rows.filter(([, of]) => runs.every((run) => of(run) !== null)).map(([name, of, shown]) => {
    const delta = of(runs[1]) - of(runs[0]);
    return el("tr", {}, el("th", { scope: "row" }, name), ...runs.map((run) => el("td.num", {}, shown(of(run)))), el("td.num", {}, `${delta > 0 ? "+" : delta < 0 ? "−" : "±"}${shown(Math.abs(delta))}`));
  }))));
}

function onlyDifference(view) {
  if (!view.settings.length) return null;
  const rows = view.settings.map(([name, before, after]) => el("tr", {}, el("th", { scope: "row" }, name), ...[before, after].map((value) => el("td", {}, value === null ? "none" : value.length > 200 ? folded(`${count(value.length)} characters`, () => longText(value)) : value))));
  const where = view.turns.length ? " where they part" : "";
  const banner = (view.settings.length === 1 ? `One setting differs${where}: ${plain(view.settings[0][0])}` : `${view.settings.length} settings differ${where}`);
  return el("div.card", {}, el("p.reason", {}, banner), el("div.scroll", { tabindex: "0", role: "region", "aria-label": "Settings that differ" }, el("table.plain", {}, el("tbody", {}, ...rows))));
}

async function comparedTurn(turn, runs, first) {
  const events = await Promise.all(runs.map((run) => load(`turn:${run.id}:${turn.number}`)));
  const briefs = runs.map((run) => run.turns.find((each) => each.number === turn.number));
  const made = [el("h2", {}, `Turn ${turn.number}`, first ? el("span.tag", {}, "first difference") : null)];
  if (turn.only) made.push(el("p.reason", {}, `Only the ${turn.only} run has this turn.`));
  made.push(el("div.two", {}, ...briefs.map((brief, at) => comparedSide(brief, turn, at))));
  const drafts = events.map((event) => event?.drafts[event.chosen]);
  if (turn.only) {
    const code = drafts.find(Boolean)?.code;
    if (code) made.push(wholeCode(code, "program"));
    return el("section.part.compared-turn", { id: first ? "first-difference" : null }, ...made);
  }
  if (turn.rows && turn.rows.some(([a, b]) => !a || !b)) made.push(el("h3", {}, "Code"), bothPrograms(turn.rows, drafts[0].code, drafts[1].code));
  else if (turn.rows) made.push(el("p.note", {}, "The code is the same."));
  else made.push(el("div.two", {}, ...drafts.map((draft, at) => (draft?.code ? wholeCode(draft.code, at ? "second program" : "first program") : el("p.none", {}, "no code")))));
  if (turn.tests.length) made.push(el("h3", {}, "Tests that changed"), el("div.scroll", { tabindex: "0", role: "region", "aria-label": `Tests of turn ${turn.number}` }, el("table.plain", {}, el("thead", {}, el("tr", {}, ...["test", "first", "second"].map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, ...turn.tests.map(([name, before, after]) => el("tr", {}, el("th", { scope: "row" }, el("code", {}, name.slice(0, 500))), ...[before, after].map((status) => el("td", {}, badge(status ?? "", status ?? "not there")))))))));
  if (turn.output) made.push(el("h3", {}, "Output"), pairOfTexts(events.map((event) => outputOf(event?.executions[event.chosen]))));
  if (turn.feedback) made.push(el("h3", {}, "The critic's words"), pairOfTexts(events.map((event) => event?.feedback?.words)));
  return el("section.part.compared-turn", { id: first ? "first-difference" : null }, ...made);
}

// Two programs of which each has half a phone's width cannot be read.
function bothPrograms(rows, first, second) {
  if (!matchMedia("(max-width: 700px)").matches) return sideBySide(rows, first, second);
  return unified(rows, (at) => first[at - 1], (at) => second[at - 1], "the second program as a change of the first");
}

function comparedSide(brief, turn, at) {
  if (!brief) return el("div.card.none", {}, "no such turn");
  return el("div.card", {}, el("p", {}, badge(brief.decision || "unfinished"), " ", el("span.note", {}, brief.reason)), el("p.note", {}, `${brief.input === null ? "" : `${count(turn.tokens[at])} tokens · `}${spent(turn.seconds[at])}${turn.cost[at] === null ? "" : ` · cost ${price(turn.cost[at])}`}`));
}

const outputOf = (run) => run && [run.stdout[0], run.stderr[0], run.error ? `${run.error[0]}: ${run.error[1]}` : run.status === "ok" ? "" : `${run.status} ${run.reason}`].filter(Boolean).join("\n");
const pairOfTexts = (texts) => el("div.two", {}, ...texts.map((text) => (text ? longText(text) : el("p.none", {}, "nothing"))));
