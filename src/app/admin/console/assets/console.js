// What moves on a page: regions that the server writes again, and confirmations. All pages work
// without it; then they move when they are loaded again.
"use strict";

// Where a region without a place for it says whether it is up to date.
function note(region) {
  const note = document.createElement("p");
  note.className = "dim";
  note.setAttribute("role", "status");
  region.before(note);
  return note;
}

for (const region of document.querySelectorAll("[data-stream]")) {
  const adds = region.dataset.mode === "add";
  const most = Number(region.dataset.most || 200);
  const pause = document.querySelector(`[data-pauses="${region.id}"]`);
  const filter = document.querySelector(`[data-filters="${region.id}"]`);
  const state = document.querySelector(`[data-state-of="${region.id}"]`) || note(region);
  let paused = false;
  let missed = 0;
  let last = new Date();
  const say = (text) => { if (state.textContent !== text) state.textContent = text; };
  const fits = (row) => !filter || row.textContent.toLowerCase().includes(filter.value.trim().toLowerCase());
  const source = new EventSource(region.dataset.stream);
  const old = (text) => {
    region.classList.add("stale");
    say(text);
  };
  const fresh = () => {
    last = new Date();
    region.classList.remove("stale");
    say(paused ? "paused" : "live");
  };
  source.addEventListener("open", fresh);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) {
      const full = region.dataset.full || "too many pages that move are open: close other tabs of the console";
      old(`Not live since ${last.toLocaleTimeString()}: the session has ended, or ${full}. Then load the page again.`);
    }
  });
  // a stream ends every minute and is joined again at once: only what takes longer is a trouble
  setInterval(() => {
    if (source.readyState === EventSource.CONNECTING && new Date() - last > 8000) {
      old(`No connection since ${last.toLocaleTimeString()}: what is shown is as old as that. Trying again.`);
    }
  }, 2000);
  source.addEventListener("page", (event) => {
    fresh();
    const within = region.contains(document.activeElement) ? document.activeElement : null;
    const boxes = [...region.querySelectorAll(".scroll")];
    const at = boxes.indexOf(within);
    // not under the hands of somebody who is about to use something in it
    if (paused || (within && at < 0)) {
      say("stands still while you are in it");
      return;
    }
    const places = boxes.map((box) => [box.scrollLeft, box.scrollTop]);
    region.innerHTML = JSON.parse(event.data);
    [...region.querySelectorAll(".scroll")].forEach((box, n) => {
      if (places[n]) [box.scrollLeft, box.scrollTop] = places[n];
      if (n === at) box.focus({ preventScroll: true });
    });
  });
  source.addEventListener("rows", (event) => {
    if (paused) { missed += 1; say(`paused, ${missed} updates behind`); return; }
    const rows = document.createElement("tbody");
    rows.innerHTML = JSON.parse(event.data);
    for (const row of [...rows.children]) {
      row.hidden = !fits(row);
      if (adds) region.prepend(row);
    }
    while (region.children.length > most) region.lastElementChild.remove();
  });
  if (pause) {
    pause.addEventListener("click", () => {
      paused = !paused;
      missed = 0;
      pause.textContent = paused ? "Go on" : "Pause";
      pause.setAttribute("aria-pressed", String(paused));
      say(paused ? "paused" : "live");
    });
  }
  if (filter) {
    filter.addEventListener("input", () => {
      for (const row of region.children) row.hidden = !fits(row);
    });
  }
  addEventListener("pagehide", () => source.close());
}

document.addEventListener("submit", (event) => {
  const text = event.submitter?.dataset.confirm || event.target.dataset.confirm;
  if (text && !confirm(text)) event.preventDefault();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copies]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copies)?.textContent || "";
  navigator.clipboard?.writeText(text).then(() => { button.textContent = "Copied"; });
});

// A form whose answer is put into this page, so that what was typed into it stays where it is.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  const into = document.getElementById(form.dataset.into || "");
  if (!into || event.defaultPrevented) return;
  event.preventDefault();
  const to = event.submitter?.getAttribute("formaction") || form.getAttribute("action");
  into.setAttribute("aria-busy", "true");
  try {
    const body = new URLSearchParams(new FormData(form, event.submitter));
    const answer = await fetch(to, { method: "POST", body });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const part = page.getElementById(into.id) || page.querySelector("main");
    into.replaceChildren(...part.childNodes);
  } catch {
    into.textContent = "The gateway does not answer: try again.";
  }
  into.removeAttribute("aria-busy");
  into.focus();
});
