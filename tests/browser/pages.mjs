// What every page is held to, whatever is on it.

import { writeFileSync } from "node:fs";
import { axe, check, go, leaks, looks, shots, want, wear } from "./support.mjs";

const fileOf = (path) => path.replace(/^\/console\/?/, "").replace(/[^a-zA-Z0-9-]+/g, "_").slice(0, 80) || "home";

/** Holds a page to all of it, in each look. */
export async function holds(tab, path, { frame = true } = {}) {
  for (const look of looks) {
    await check(`${path} ${look.name}`, async () => {
      await wear(tab, look);
      await tab.wrongs();
      const answer = await go(tab, path);
      want(answer, "it is a download");
      const wrong = [];
      const note = (text) => wrong.push(text);
      for (const leak of leaks(await answer.text())) note(`its HTML shows ${leak}`);
      for (const leak of leaks(await tab.content())) note(`the page shows ${leak}`);
      const policy = answer.headers()["content-security-policy"] ?? "";
      if (!policy.includes("default-src 'none'")) note(`its policy is ${policy || "missing"}`);
      const seen = await tab.evaluate(() => ({
        headings: [...document.querySelectorAll("h1")].length,
        title: document.title,
        wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        widest: [...document.querySelectorAll("body *")]
          .filter((node) => node.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !node.closest(".scroll"))
          .slice(0, 3).map((node) => node.outerHTML.slice(0, 120)),
      }));
      if (seen.headings !== 1) note(`it has ${seen.headings} h1`);
      if (!seen.title) note("it has no title");
      if (seen.wide > 0) note(`it scrolls sideways by ${seen.wide} px: ${seen.widest.join("\n")}`);
      if (frame && look.name.endsWith("-light")) {
        for (const text of await byKeyboard(tab)) note(text);
      }
      for (const text of await tab.wrongs()) note(text);
      await tab.screenshot({ path: `${shots}/${fileOf(path)}-${look.name}.png`, fullPage: true });
      for (const text of await inaccessible(tab)) note(text);
      if (wrong.length > 0) writeFileSync(`${shots}/${fileOf(path)}-${look.name}.html`, await tab.content());
      want(wrong.length === 0, wrong.join("\n"));
    });
  }
}

/** What axe finds. */
async function inaccessible(tab) {
  await tab.evaluate(axe);
  const found = await tab.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map(({ id, help, nodes }) => {
    const where = nodes.slice(0, 3).map((node) => `${node.target.join(" ")} ${node.html.slice(0, 140)} ${(node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? ""}`);
    return `axe ${id}: ${help} (${nodes.length}): ${where.join("; ")}`;
  });
}

// in the page: how a control is called here, also after a stream has written it again
function named() {
  window.nameOf = (node) => {
    const same = (other) => other.tagName === node.tagName && other.textContent === node.textContent && other.name === node.name &&
      other.id === node.id && other.getAttribute("href") === node.getAttribute("href") && other.getAttribute("action") === node.getAttribute("action");
    const twins = [...document.querySelectorAll(node.tagName)].filter(same);
    const text = (node.textContent || node.getAttribute("aria-label") || "").replace(/\s+/g, " ").trim().slice(0, 40);
    return `${node.tagName.toLowerCase()} ${node.id || node.name || node.getAttribute("href") || ""} "${text}" ${twins.indexOf(node)}`;
  };
}

/** Skip link first; then every control is reached by Tab, and shows that it is. */
async function byKeyboard(tab) {
  const wrong = [];
  await tab.evaluate(named);
  await tab.evaluate(() => { document.activeElement?.blur(); window.scrollTo(0, 0); });
  await tab.keyboard.press("Tab");
  const first = await tab.evaluate(() => {
    const node = document.activeElement;
    const box = node.getBoundingClientRect();
    return { isSkip: node.classList.contains("skip"), isSeen: box.left >= 0 && box.top >= 0 && box.width > 0, to: node.getAttribute("href") };
  });
  // a page that asks for one thing has the cursor there
  if (!first.isSkip) wrong.push("the first Tab does not reach the skip link");
  else {
    if (!first.isSeen) wrong.push("the skip link is not seen when it is reached");
    await tab.keyboard.press("Enter");
    const at = await tab.evaluate(() => document.activeElement.closest("main") !== null);
    if (!at) wrong.push(`the skip link leads to ${first.to}, and the keyboard stays behind`);
  }
  await tab.evaluate(() => { document.activeElement?.blur(); history.replaceState(null, "", location.pathname + location.search); });
  await tab.evaluate(() => { const top = document.querySelector(".skip") ?? document.body; top.focus(); });
  const wanted = await tab.evaluate(() => {
    const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")];
    const open = all.filter((node) => !node.disabled && node.type !== "hidden" && node.checkVisibility({ visibilityProperty: true }) && node.tabIndex >= 0);
    // of a group of radio buttons one is a stop
    const groups = new Set();
    return open.filter((node) => {
      if (node.type !== "radio") return true;
      const chosen = node.checked || !document.querySelector(`input[name="${node.name}"]:checked`);
      return chosen && !groups.has(node.name) && groups.add(node.name);
    }).map(window.nameOf);
  });
  const reached = new Set([await tab.evaluate(() => window.nameOf(document.activeElement))]);
  const unseen = [];
  for (let n = 0; n < wanted.length + 8 && n < 700 && wanted.some((name) => !reached.has(name)); n += 1) {
    await tab.keyboard.press("Tab");
    const [name, isSeen] = await tab.evaluate(() => {
      const node = document.activeElement;
      const style = getComputedStyle(node);
      return [window.nameOf(node), node === document.body || style.outlineStyle !== "none" || style.boxShadow !== "none"];
    });
    reached.add(name);
    if (!isSeen) unseen.push(name);
  }
  // what a stream has taken away meanwhile is not missed
  const here = new Set(await tab.evaluate(() => [...document.querySelectorAll("a, button, input, select, textarea, summary, [tabindex]")].map(window.nameOf)));
  const missed = wanted.filter((name) => !reached.has(name) && here.has(name));
  if (missed.length > 0) wrong.push(`Tab does not reach ${missed.length} of ${wanted.length}: ${missed.slice(0, 4).join(", ")}`);
  if (unseen.length > 0) wrong.push(`the focus is not seen on ${unseen.slice(0, 4).join(", ")}`);
  return wrong;
}
