"use strict";
const ANSWERS = { 1: "left", 2: "same", 3: "right", 0: "skip" };
const WORDS = { left: "left is better", same: "the same", right: "right is better", skip: "cannot tell" };
const players = [byId("left"), byId("right")];
const SEEK_S = 0.5;
// What is said until both videos run.
const HINTS = ["press space to play", "both videos have to play before you answer"];
let state = null;
let since = 0;
let sounding = 0;
let wanted = false;
let seen = false;
let broken = false;

function hear(index) {
  sounding = index;
  players.forEach((player, i) => {
    player.muted = i !== index;
    player.parentElement.classList.toggle("sounding", i === index);
  });
}

function fromStart() {
  wanted = true;
  players.forEach((player) => { player.pause(); player.currentTime = 0; });
  keepTogether();
}

// Both run, or neither: started in one go when both can, held while one loads, begun anew when the longer one ends.
function keepTogether() {
  if (!state || !state.item) return;
  const able = players.every((player) => player.ended || (player.readyState >= 3 && !player.seeking));
  if (!wanted || !able) {
    players.forEach((player) => player.pause());
    return;
  }
  if (players.every((player) => player.ended)) {
    fromStart();
    return;
  }
  const running = players.filter((player) => !player.ended);
  const started = running.filter((player) => player.paused).map((player) => player.play());
  Promise.all(started).then(markSeen, (error) => {
    if (error.name !== "NotAllowedError") return;
    wanted = false;
    byId("note").textContent = HINTS[0];
  });
  if (running.length === 2) align();
}

// The one that is not heard gives way: a little faster or slower, a jump where it is far off.
function align() {
  const [heard, silent] = [players[sounding], players[1 - sounding]];
  const ahead = silent.currentTime - heard.currentTime;
  heard.playbackRate = 1;
  silent.playbackRate = Math.abs(ahead) < 0.02 ? 1 : 1 - Math.max(-0.1, Math.min(0.1, ahead));
  if (Math.abs(ahead) > SEEK_S) silent.currentTime = heard.currentTime;
}

function markSeen() {
  if (!players.every((player) => player.ended || player.currentTime > 0)) return;
  if (HINTS.includes(byId("note").textContent)) byId("note").textContent = "";
  seen = true;
  document.body.dataset.seen = state.left;
}

function showQuestion() {
  const asked = state.dimensions[state.asked];
  byId("question").textContent = `${asked.label}: ${asked.question}`;
  byId("dimensions").replaceChildren(...state.dimensions.map((dimension, i) => {
    const item = document.createElement("li");
    const answer = state.answers[i];
    item.textContent = answer ? `${dimension.label}: ${WORDS[answer]}` : dimension.label;
    item.classList.toggle("now", i === state.asked);
    return item;
  }));
}

function showPair() {
  seen = broken = false;
  document.body.dataset.seen = "";
  players.forEach((player, i) => { player.src = [state.left, state.right][i]; });
  state.next.forEach((url, i) => { byId(`ahead${i}`).src = url; });
  byId("prompt").textContent = state.prompt ? `Asked for: ${state.prompt}` : "";
  byId("portrait").hidden = !state.portrait;
  if (state.portrait) byId("portrait").src = state.portrait;
  hear(0);
  fromStart();
}

function show(next) {
  const before = state || {};
  state = { ...state, ...next };
  byId("count").textContent = `pair ${state.case} of ${state.cases}`;
  showProgress(state);
  byId("note").textContent = next.told || "";
  if (before.item !== state.item) since = performance.now();
  if (!state.item) {
    players.forEach((player) => { player.removeAttribute("src"); player.load(); });
    byId("question").textContent = "All pairs are judged. Thank you. Z takes the last answer back.";
    byId("dimensions").replaceChildren();
    byId("wish").hidden = true;
    return;
  }
  byId("wish").hidden = false;
  showQuestion();
  if (before.left !== state.left || before.right !== state.right) showPair();
}

function answer(choice) {
  if (!state.item) return;
  if (!seen && !(broken && choice === "skip")) {
    byId("note").textContent = HINTS[1];
    return;
  }
  const vote = { rater: state.rater, item: state.item, answer: choice, seconds: (performance.now() - since) / 1000 };
  act(async () => {
    try {
      return await ask("vote", vote);
    } catch (error) {
      // Another tab has answered: what stands on disk counts.
      return { ...await ask(`state?rater=${encodeURIComponent(state.rater)}`), told: error.message };
    }
  }, show);
}

const COMMANDS = {
  " ": () => { wanted = !wanted; keepTogether(); },
  r: fromStart,
  s: () => hear(1 - sounding),
  z: () => act(() => ask("undo", { rater: state.rater }), show),
};

document.addEventListener("keydown", (event) => {
  const key = ownKey(event);
  if (!state || key === null) return;
  if (key in ANSWERS) answer(ANSWERS[key]);
  else if (key in COMMANDS) COMMANDS[key]();
  else return;
  event.preventDefault();
});

for (const [id, key] of [["play", " "], ["again", "r"], ["sound", "s"], ["undo", "z"]]) {
  byId(id).onclick = (event) => { event.currentTarget.blur(); COMMANDS[key](); };
}
for (const button of document.querySelectorAll("[data-answer]")) {
  button.onclick = () => { button.blur(); answer(button.dataset.answer); };
}
for (const player of players) {
  for (const happened of ["canplay", "seeked", "ended", "waiting"]) player.addEventListener(happened, keepTogether);
  player.addEventListener("timeupdate", markSeen);
  player.addEventListener("error", () => {
    if (!player.hasAttribute("src")) return;
    broken = true;
    byId("note").textContent = "this browser cannot play one of the two videos: 0 goes on";
  });
}
setInterval(keepTogether, 250);
whenNamed(show);
