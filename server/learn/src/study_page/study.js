"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);
let shown = null;

// The trial under the pointer, or the nearest dot of the plot within a few pixels.
function find(event) {
  const direct = event.target.closest("[data-trial]");
  const svg = event.target.closest("svg");
  if (direct || !svg) return direct;
  let best = null, least = 144;
  for (const dot of svg.querySelectorAll("circle[data-trial]")) {
    const box = dot.getBoundingClientRect();
    const x = box.x + box.width / 2 - event.clientX, y = box.y + box.height / 2 - event.clientY;
    if (x * x + y * y < least) { least = x * x + y * y; best = dot; }
  }
  return best;
}

function show(number) {
  if (number === shown) return;
  for (const mark of document.querySelectorAll(".hot")) mark.classList.remove("hot");
  shown = number;
  const trial = data.trials[number];
  tip.hidden = !trial;
  if (!trial) return;
  for (const mark of document.querySelectorAll(`[data-trial="${number}"]`)) mark.classList.add("hot");
  tip.replaceChildren();
  const head = document.createElement("b");
  head.textContent = `trial ${number}, ${trial[0]}`;
  tip.append(head);
  data.names.forEach((name, at) => {
    const value = trial[at + 1];
    if (value === null) return;
    const line = document.createElement("div"), label = document.createElement("span");
    label.textContent = name;
    line.append(label, value);
    tip.append(line);
  });
}

document.addEventListener("pointermove", event => {
  const mark = event.target.closest ? find(event) : null;
  show(mark ? mark.getAttribute("data-trial") : null);
  if (tip.hidden) return;
  const right = event.clientX + 16;
  const left = right + tip.offsetWidth > innerWidth ? right - 32 - tip.offsetWidth : right;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, Math.min(event.clientY + 12, innerHeight - tip.offsetHeight - 4))}px`;
});
document.documentElement.addEventListener("pointerleave", () => show(null));
