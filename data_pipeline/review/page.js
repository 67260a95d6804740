"use strict";
const byId = (id) => document.getElementById(id);
const CHOICES = { a: "accept", r: "reject", s: "skip" };
let state = null;
let marked = new Set();
let since = 0;
let busy = false;

async function ask(path, body) {
  const options = body
    ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }
    : {};
  const answer = await fetch(path, options);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}

function number(value) {
  return value === null || value === undefined ? "not judged" : Number(value).toPrecision(3);
}

function showLast(last) {
  byId("last").hidden = !last;
  if (!last) return;
  byId("choice").textContent = [last.choice, ...last.reasons].join(", ");
  byId("caption").textContent = last.caption;
  byId("scores").replaceChildren(...Object.entries(last.scores).map(([name, score]) => {
    const row = document.createElement("tr");
    const limit = score.threshold === null ? "" : `threshold ${number(score.threshold)}`;
    for (const text of [name, number(score.value), limit]) row.insertCell().textContent = text;
    row.cells[1].classList.toggle("failed", !score.passed);
    return row;
  }));
}

function showReasons() {
  byId("reasons").replaceChildren(...state.reasons.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    item.classList.toggle("on", marked.has(text));
    item.onclick = () => mark(text);
    return item;
  }));
}

function mark(text) {
  if (!marked.delete(text)) marked.add(text);
  showReasons();
}

function show(next) {
  const same = state !== null && state.item === next.item;
  state = { ...state, ...next };
  byId("count").textContent = `${state.done} of ${state.total}`;
  byId("bar").max = state.total;
  byId("bar").value = state.done;
  byId("rater").textContent = state.rater;
  document.body.dataset.done = state.done;
  showLast(state.last);
  if (same) return;
  marked = new Set();
  since = performance.now();
  showReasons();
  const video = byId("video");
  if (!state.item) {
    video.removeAttribute("src");
    video.load();
    byId("note").textContent = "All clips are reviewed. Thank you. Z takes the last vote back.";
    return;
  }
  byId("note").textContent = "";
  video.src = state.video;
  video.play().catch(() => { byId("note").textContent = "press space to play"; });
  if (state.next) byId("ahead").src = state.next;
}

async function act(work) {
  if (busy) return;
  busy = true;
  try {
    show(await work());
  } catch (error) {
    byId("note").textContent = error.message;
  } finally {
    busy = false;
  }
}

document.addEventListener("keydown", (event) => {
  if (!state || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = event.key.toLowerCase();
  const reason = state.reasons[Number(key) - 1];
  if (key in CHOICES && state.item) {
    const vote = { rater: state.rater, item: state.item, choice: CHOICES[key], reasons: [...marked] };
    act(() => ask("vote", { ...vote, seconds: (performance.now() - since) / 1000 }));
  } else if (key === "z") {
    act(() => ask("undo", { rater: state.rater }));
  } else if (reason !== undefined && state.item) {
    mark(reason);
  } else if (key === " ") {
    const video = byId("video");
    if (video.paused) video.play(); else video.pause();
  } else {
    return;
  }
  event.preventDefault();
});

byId("who").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = byId("name").value.trim();
  act(async () => {
    const first = await ask(`state?rater=${encodeURIComponent(name)}`);
    byId("who").hidden = true;
    byId("work").hidden = false;
    return first;
  });
});
