"use strict";
const steps = [...document.querySelectorAll(".step")];
let chosen = null;
function choose(step) {
  if (step === chosen) return;
  if (chosen) {
    chosen.classList.remove("chosen");
    document.getElementById("told-" + chosen.dataset.step).hidden = true;
  }
  document.getElementById("hint").hidden = true;
  document.getElementById("told-" + step.dataset.step).hidden = false;
  step.classList.add("chosen");
  chosen = step;
}
for (const step of steps) {
  for (const event of ["mouseenter", "focus", "click"]) {
    step.addEventListener(event, () => choose(step));
  }
}
addEventListener("keydown", (event) => {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const next = by && chosen && steps[steps.indexOf(chosen) + by];
  if (next) {
    event.preventDefault();
    next.focus();
  }
});
const named = document.getElementById(location.hash.slice(1));
const first = steps.includes(named) ? named : document.querySelector(".step:not(.call)");
if (first) choose(first);
