// Visits every page of the console, and does on each what it is for.

import { adminKey, check, console_, failures, go, launch, leaks, open, signIn, submit, text, viewKey, want } from "./support.mjs";
import { holds } from "./pages.mjs";
import { chosen, flows, required } from "./flows.mjs";

const browser = await launch();
try {
  await run(browser);
} finally {
  await browser.close();
}
process.exit(failures() === 0 ? 0 : 1);

async function run(browser) {
  const tab = await open(browser);
  await signingIn(tab);
  await signIn(tab, adminKey, "/console/system");
  const pages = await links(tab, "nav a");
  await check("the navigation has every page", async () => {
    const missing = required.filter((path) => !pages.includes(path));
    want(missing.length === 0, `it lacks ${missing.join(", ")}`);
  });
  for (const flow of flows) {
    if (!pages.includes(flow.page)) continue;
    await check(`${flow.page}: ${flow.name}`, async () => {
      await tab.wrongs();
      await flow.run(tab);
      const wrong = await tab.wrongs();
      want(wrong.length === 0, wrong.join("\n"));
    });
  }
  const found = await further(tab, pages);
  const details = [...found, ...chosen.filter((path) => !found.includes(path))];
  for (const path of [...pages, ...details]) await holds(tab, path);
  // what is not there, by a page and by nothing
  await holds(tab, "/console/no-such-page", { frame: false });
  await answers(tab, [...pages, ...details]);
  await viewing(browser);
}

async function links(tab, selector) {
  const found = await tab.$$eval(selector, (nodes) => nodes.filter((node) => !node.hasAttribute("download")).map((node) => node.href));
  return [...new Set(found.filter((href) => href.startsWith(`${console_}/console`)).map((href) => href.slice(console_.length).split("#")[0]))];
}

/** One page of each further kind that pages link to, two clicks deep: details, groups, lists behind a number. */
async function further(tab, pages) {
  const kind = (path) => {
    const [way, query] = path.split("?");
    const asked = [...new URLSearchParams(query).keys()].sort().join("&");
    return `${way.split("/").map((part) => (/^[a-z-]*$/.test(part) ? part : "*")).join("/")}?${asked}`;
  };
  const seen = new Set(pages.map(kind));
  const found = [];
  let from = pages;
  for (let depth = 0; depth < 2; depth += 1) {
    const next = [];
    for (const path of from) {
      await go(tab, path);
      for (const link of await links(tab, "main a[href]")) {
        if (seen.has(kind(link))) continue;
        seen.add(kind(link));
        // a download is looked at with the other answers
        const answer = await go(tab, link);
        const isPage = answer?.headers()["content-type"]?.startsWith("text/html");
        if (isPage && answer.ok()) next.push(link);
        else if (isPage) await check(`${path} links to ${link}`, async () => want(false, `that is answered ${answer.status()}`));
        await go(tab, path);
      }
    }
    found.push(...next);
    from = next;
  }
  return found;
}

async function signingIn(tab) {
  await holds(tab, "/console/login", { frame: false });
  await check("a page without a session asks for a key, and goes on from there", async () => {
    await go(tab, "/console/system");
    want(tab.url().includes("/console/login?to="), `it is at ${tab.url()}`);
    await tab.type("#key", "a wrong key");
    await submit(tab, "form button");
    const said = await text(tab, "[role=alert]");
    want(said.length > 10, "it says nothing");
    want((await text(tab)).includes("a wrong key") === false, "it shows what was typed");
    await tab.type("#key", adminKey);
    await submit(tab, "form button");
    want(tab.url() === `${console_}/console/system`, `it goes to ${tab.url()}`);
    await tab.wrongs();
  });
  await check("the session's cookie is for no script and no other site", async () => {
    const cookies = await tab.browserContext().cookies();
    want(cookies.length === 1, `${cookies.length} cookies`);
    const [{ httpOnly, sameSite, value }] = cookies;
    want(httpOnly && sameSite === "Strict", JSON.stringify({ httpOnly, sameSite }));
    want(leaks(value).length === 0, "it has the key in it");
  });
  await check("a form without the session's token changes nothing", async () => {
    const status = await tab.evaluate(async () => {
      const form = new URLSearchParams({ csrf: "none" });
      return (await fetch("/console/system/reload", { method: "POST", body: form, redirect: "manual" })).status;
    });
    want(status === 403, `it is answered ${status}`);
    await tab.wrongs();
  });
  await check("signing out ends the session", async () => {
    await go(tab, "/console/system");
    await submit(tab, "form.who button");
    want(tab.url().includes("/console/login"), `it is at ${tab.url()}`);
    await go(tab, "/console/system");
    want(tab.url().includes("/console/login"), "the page is still shown");
  });
}

/** Somebody who may only look sees no button that changes something. */
async function viewing(browser) {
  const tab = await open(browser);
  const cookies = tab.browserContext();
  await cookies.deleteCookie(...(await cookies.cookies()));
  await signIn(tab, viewKey, "/console/system");
  for (const path of await links(tab, "nav a")) {
    await check(`${path} with a view key`, async () => {
      const answer = await go(tab, path);
      want(answer.ok(), `it is answered ${answer.status()}`);
      const wrong = await tab.wrongs();
      want(wrong.length === 0, wrong.join("\n"));
    });
  }
}

/** No answer of the admin API and no stream has a secret in it. */
async function answers(tab, pages) {
  await check("no answer of the admin API has a secret in it", async () => {
    const ask = (path) => fetch(`${console_}${path}`, { headers: { authorization: `Bearer ${adminKey}` } });
    const api = await (await ask("/openapi.json")).json();
    const ids = await parameters(ask);
    const shown = [];
    let asked = 0;
    for (const [path, methods] of Object.entries(api.paths)) {
      if (!methods.get) continue;
      for (const filled of ids(path)) {
        const { ok, said } = await hears(ask(filled));
        if (ok) asked += 1;
        for (const leak of leaks(said, allowed(path))) shown.push(`${filled} shows ${leak}`);
      }
    }
    want(asked > 8, `only ${asked} routes have answered`);
    want(shown.length === 0, shown.join("\n"));
  });
  await check("no stream of a page has a secret in it", async () => {
    const shown = [];
    for (const path of pages) {
      await go(tab, path);
      const parts = await tab.$$eval("[data-stream]", (nodes) => nodes.map((node) => node.dataset.stream));
      for (const part of new Set(parts)) {
        const said = await tab.evaluate(async (part) => {
          const stop = new AbortController();
          let said = "";
          setTimeout(() => stop.abort(), 1500);
          try {
            const reader = (await fetch(part, { signal: stop.signal })).body.pipeThrough(new TextDecoderStream()).getReader();
            for (;;) {
              const { done, value } = await reader.read();
              if (done) break;
              said += value;
            }
          } catch { /* a stream has no end */ }
          return said;
        }, part);
        if (said === "") shown.push(`${part} says nothing`);
        for (const leak of leaks(said, allowed(path))) shown.push(`${part} shows ${leak}`);
      }
    }
    await tab.wrongs();
    want(shown.length === 0, shown.join("\n"));
  });
}

// The export is the event as it goes to Meta, to be kept or sent again, and for admin keys only. Nothing
// else shows it in full.
function allowed(path) {
  if (path !== "/dead/export") return [];
  return ["the digest of the e-mail address", "the IP address", "the user agent"];
}

/** What an answer says, at most a second of it: a stream has no end. */
async function hears(asked) {
  const answer = await asked;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const end = new Promise((done) => { setTimeout(() => done({ done: true }), 1000); });
  let said = "";
  for (;;) {
    const { done, value } = await Promise.race([reader.read(), end]);
    if (done) break;
    said += value;
  }
  await reader.cancel();
  return { ok: answer.ok, said };
}

/** What to put in the place of a route's parameter: ids that are there. */
async function parameters(ask) {
  const list = async (path, member) => (await (await ask(path)).json())[member] ?? [];
  const dead = (await list("/dead", "letters")).map((letter) => letter.id);
  const holds_ = (await list("/holds", "holds")).map((hold) => hold.id);
  const events = ["good-0", "bad-1", "held-1", "twin-1", "named-1"];
  return (path) => {
    if (!path.includes("{")) return [path];
    const values = path.includes("{event_id}") ? events : path.startsWith("/dead") ? dead : path.startsWith("/holds") ? holds_ : ["1234567890123456", "good-0", ...dead];
    return values.map((value) => path.replace(/\{\w+\}/, encodeURIComponent(value)));
  };
}
