// With `view --serve`, the page asks its server for news, answers a waiting person's question and
// branches. A page from a file never asks anything.
const live = document.body.dataset.live === "yes";
const token = new URLSearchParams(location.search).get("token") ?? "";
const REST = 1000;
let serial = 0;
let held = false; // whether news waits until a person has written to the end

async function ask(path, body) {
  const sent = body ? { method: "POST", body: JSON.stringify(body), headers: { "X-Token": token, "Content-Type": "application/json" } } : { headers: { "X-Token": token } };
  const answer = await fetch(path, sent);
  const told = answer.headers.get("Content-Type") === "application/json" ? await answer.json() : {};
  if (!answer.ok) throw new Error(told.problem ?? `the server says ${answer.status}`);
  return told;
}

async function follow() {
  for (;;) {
    let wait = REST;
    try {
      await takeNews(await ask(`/news?since=${serial}`));
      if (!held) tell("");
    } catch (error) {
      tell(`No news: ${error.message}. Is view --serve still running?`);
      wait = 4 * REST;
    }
    await new Promise((done) => setTimeout(done, wait));
  }
}

async function takeNews(news) {
  if (news.serial === serial && !held) return;
  serial = news.serial;
  for (const [name, text] of Object.entries(news.events)) replaceEvent(name, text);
  contents = await unpack(news.contents);
  knownIds = contents.runs.map((run) => run.id);
  // What a person is writing is not taken away.
  const written = [...document.querySelectorAll("main textarea")].some((box) => box.value !== box.defaultValue);
  held = written;
  if (held) return tell("The run went on in another tab or process. Clear what you write to see it.");
  remembered.shown = null;
  const at = scrollY;
  await route();
  scrollTo({ top: at, behavior: "instant" });
  document.getElementById("status").textContent = plain(contents.runs.map((run) => `${run.id.slice(0, 8)} ${run.status}`).join(", "));
}

function tell(words) {
  let box = document.getElementById("told");
  if (!box) {
    box = el("p.alert", { id: "told", role: "status", hidden: true });
    main.before(box);
  }
  box.textContent = plain(words);
  box.hidden = !words;
}

function decorateLive(run, brief) {
  if (!live) return;
  const state = contents.runs.find((other) => other.id === run.id);
  const place = document.getElementById("place");
  if (state.problem) place.prepend(el("p.alert", {}, state.problem));
  const last = run.turns[run.turns.length - 1];
  place.append(branchForm(run, brief));
  if (state.asks && brief === last) {
    const form = answerForm(run, brief);
    const jump = el("button.more", { type: "button" }, "Decide");
    jump.addEventListener("click", () => form.querySelector("textarea").focus());
    place.prepend(el("p.parted.jump", {}, "The run waits for you. ", jump));
    place.append(form);
  }
  if (state.asks && brief !== last) place.prepend(el("p.parted", {}, "The run waits for a person: ", el("a", { href: turnLink(run.id, last.number) }, `answer at turn ${last.number}`)));
}

function decorateEmpty(run) {
  const state = contents.runs.find((other) => other.id === run.id);
  if (live && state.problem) document.getElementById("place").prepend(el("p.alert", {}, state.problem));
}

function button(label, act, kind = "act") {
  const made = el(`button.${kind}`, { type: "button" }, label);
  made.addEventListener("click", async () => {
    made.disabled = true;
    // Beside the button: the line above the page is that of the news, which come every second.
    made.parentElement.querySelector(".alert")?.remove();
    try {
      await act();
    } catch (error) {
      made.parentElement.append(el("p.alert", { role: "alert" }, error.message));
    }
    made.disabled = false;
  });
  return made;
}

const area = (id, text, label, rows = 4) => {
  const box = el("textarea", { id, spellcheck: "false", rows: text ? Math.min(text.split("\n").length + 1, 24) : rows });
  box.defaultValue = text;
  return [el("label", { for: id }, label), box];
};

function answerForm(run, brief) {
  const words = area("answer-words", "", "Words for the coder", 2);
  const code = area("answer-code", "", "The code, edited");
  load(`turn:${run.id}:${brief.number}`).then((event) => (code[1].defaultValue = codeOf(event)));
  const send = (action, text = "") => async () => {
    await ask("/answer", { run: run.id, turn: brief.number, answer: { action, text: typeof text === "string" ? text : text.value } });
    for (const box of [words[1], code[1]]) box.value = box.defaultValue;
    location.hash = `run/${shortId(run.id)}`;
  };
  return el("section.part.answer", { "aria-labelledby": "answer-name" }, el("h3", { id: "answer-name" }, `Your decision on turn ${brief.number}`),
    ...words,
    el("div.buttons", {}, button("Send words", send("words", words[1]), "act.first"), button("Approve the draft", send("approve")), button("Stop the run", send("stop"))),
    folded("Edit the code instead", () => [...code, el("div.buttons", {}, button("Go on with this code", send("edit", code[1])))]));
}

const codeOf = (event) => {
  const draft = event.drafts[event.chosen];
  return draft?.code ? draft.code.map((line) => line.filter((_, at) => at % 2).join("")).join("\n") : "";
};

function branchForm(run, brief) {
  const start = (change) => async () => {
    const made = await ask("/branch", { run: run.id, turn: brief.number, ...change() });
    for (const box of document.querySelectorAll("main textarea")) box.value = box.defaultValue;
    await takeNews(await ask(`/news?since=${serial}`));
    location.hash = `run/${shortId(made.run)}`;
  };
  return el("section.part", { "aria-label": "Branch" }, folded(`Branch at turn ${brief.number} with an edit`, async () => {
    const words = area("branch-words", "", "Other words for the coder");
    const code = area("branch-code", codeOf(await load(`turn:${run.id}:${brief.number}`)), "Other code for this turn");
    return [el("p.note", {}, "A branch is a new run; this one does not change."),
      ...words, el("div.buttons", {}, button("Branch with these words", start(() => ({ feedback: words[1].value })))),
      ...code, el("div.buttons", {}, button("Branch with this code", start(() => ({ code: code[1].value }))))];
  }));
}
