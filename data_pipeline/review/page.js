"use strict";
const CHOICES = { a: "accept", r: "reject", s: "skip" };
let state = null;
let marked = new Set();
let since = 0;

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
  showProgress(state);
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

document.addEventListener("keydown", (event) => {
  const key = ownKey(event);
  if (!state || key === null) return;
  const reason = state.reasons[Number(key) - 1];
  if (key in CHOICES && state.item) {
    const vote = { rater: state.rater, item: state.item, choice: CHOICES[key], reasons: [...marked] };
    act(() => ask("vote", { ...vote, seconds: (performance.now() - since) / 1000 }), show);
  } else if (key === "z") {
    act(() => ask("undo", { rater: state.rater }), show);
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

whenNamed(show);
