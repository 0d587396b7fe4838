// What the checks and flows work with: the browser, a report, and what nothing may show.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createHash } from "node:crypto";
import puppeteer from "puppeteer-core";

const env = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: this is started by tests/browser/run.sh`);
  return value;
};

export const console_ = env("BROWSER_CONSOLE");
export const shots = env("BROWSER_SHOTS");
export const adminKey = env("BROWSER_ADMIN_KEY");
export const viewKey = env("BROWSER_VIEW_KEY");
export const email = env("BROWSER_EMAIL");
export const pixels = JSON.parse(env("BROWSER_PIXELS"));
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

// in events, in the configuration or typed: on no page and in no answer. Of digests a mask may show
// a few characters.
const secrets = {
  "the e-mail address": email,
  "the digest of the e-mail address": sha256(email),
  "the IP address": env("BROWSER_IP"),
  "the user agent": env("BROWSER_AGENT"),
  "an admin key": adminKey,
  "a view key": viewKey,
  "an ingest key": env("BROWSER_SHOP_KEY"),
  ...Object.fromEntries(JSON.parse(env("BROWSER_TOKENS")).map((token, n) => [`access token ${n}`, token])),
};

/** What of the secrets a text holds, but for those that it may. */
export function leaks(text, may = []) {
  const found = Object.entries(secrets).filter(([name, value]) => !may.includes(name) && text.includes(value));
  return found.map(([name]) => name);
}

export function want(holds, what) {
  if (!holds) throw new Error(what);
}

let failed = 0;

/** Runs a check and says what came of it. */
export async function check(name, work) {
  const started = performance.now();
  try {
    await work();
    console.log(`ok - ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    return true;
  } catch (error) {
    failed += 1;
    console.log(`not ok - ${name}\n    ${String(error.message ?? error).replaceAll("\n", "\n    ")}`);
    return false;
  }
}

export const failures = () => failed;

export const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const looks = [
  { name: "desktop-light", width: 1280, height: 900, scheme: "light" },
  { name: "desktop-dark", width: 1280, height: 900, scheme: "dark" },
  { name: "phone-light", width: 375, height: 844, scheme: "light" },
  { name: "phone-dark", width: 375, height: 844, scheme: "dark" },
];

export async function launch() {
  mkdirSync(shots, { recursive: true });
  return puppeteer.launch({
    executablePath: env("BROWSER_CHROMIUM"),
    userDataDir: env("BROWSER_PROFILE"),
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions"],
    // a failure must not wait for long
    protocolTimeout: 30_000,
  });
}

/** A tab that notes what goes wrong in it: `tab.wrongs()` gives that since the last call. */
export async function open(browser, look) {
  const context = browser.defaultBrowserContext();
  const tab = await context.newPage();
  tab.setDefaultTimeout(8_000);
  let wrongs = [];
  // an error page is what was asked for
  const isThePage = (location) => location?.url === tab.url();
  tab.on("console", (message) => {
    if (message.type() !== "error") return;
    if (message.text().startsWith("Failed to load resource") && isThePage(message.location())) return;
    wrongs.push(`console: ${message.text()} (${message.location()?.url ?? ""})`);
  });
  tab.on("pageerror", (error) => wrongs.push(`script: ${error.message}`));
  // a stream, or a page that is left, ends before it is whole
  tab.on("requestfailed", (request) => {
    const why = request.failure()?.errorText ?? "";
    if (why !== "net::ERR_ABORTED") wrongs.push(`request: ${why} ${request.url()}`);
  });
  tab.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(console_) && !url.startsWith("data:") && url !== "about:blank") wrongs.push(`a third party is asked: ${url}`);
  });
  // what asks first is meant
  tab.on("dialog", (dialog) => dialog.accept());
  await tab.evaluateOnNewDocument(() => {
    window.cspViolations = [];
    document.addEventListener("securitypolicyviolation", (event) => {
      window.cspViolations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile ?? ""}:${event.lineNumber ?? ""}`);
    });
  });
  tab.wrongs = async () => {
    const csp = await tab.evaluate(() => window.cspViolations.splice(0)).catch(() => []);
    const all = [...wrongs, ...csp.map((one) => `CSP: ${one}`)];
    wrongs = [];
    return all;
  };
  await wear(tab, look ?? looks[0]);
  return tab;
}

export async function wear(tab, look) {
  await tab.setViewport({ width: look.width, height: look.height });
  await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: look.scheme }]);
}

/** Goes to a path of the console; gives the answer, or null where it was a download. */
export async function go(tab, path) {
  try {
    return await tab.goto(new URL(path, console_).href, { waitUntil: "load" });
  } catch (error) {
    if (String(error.message).includes("net::ERR_ABORTED")) return null;
    throw error;
  }
}

export const text = (tab, selector = "main") => tab.$eval(selector, (node) => node.textContent.replace(/\s+/g, " ").trim());

/** Submits the form that holds a control, and waits for the page that follows. */
export async function submit(tab, selector) {
  await Promise.all([tab.waitForNavigation({ waitUntil: "load" }), tab.click(selector)]);
}

/** Presses the button or link whose words fit, and waits for the page that follows. */
export async function press(tab, words, within = "main") {
  const handle = await tab.evaluateHandle((source, within) => {
    const words = new RegExp(source, "i");
    const all = [...document.querySelectorAll(`:is(${within}) :is(button, a[href], summary)`)];
    return all.find((node) => words.test((node.getAttribute("aria-label") || node.textContent).replace(/\s+/g, " ").trim()));
  }, words.source, within);
  const node = handle.asElement();
  want(node, `there is nothing to press that fits ${words}; the page says: ${(await text(tab)).slice(0, 400)}`);
  await Promise.all([tab.waitForNavigation({ waitUntil: "load" }), node.click()]);
}

/** Writes into a field what stands there then. */
export async function fill(tab, selector, value) {
  await tab.waitForSelector(selector);
  const isSelect = await tab.$eval(selector, (node, value) => {
    if (node.tagName === "SELECT") return true;
    node.value = "";
    node.focus();
    return false;
  });
  if (isSelect) await tab.select(selector, value);
  else await tab.type(selector, value);
}

/** Posts an event to the gateway's front door, as the shop. */
export async function post(pixel, event) {
  const answer = await fetch(`${env("BROWSER_INGEST")}/v26.0/${pixel}/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${env("BROWSER_SHOP_KEY")}`, "content-type": "application/json" },
    body: JSON.stringify({ data: [{
      event_name: "Purchase", event_time: Math.floor(Date.now() / 1000), action_source: "website",
      event_source_url: "https://shop.example/thanks", user_data: { em: email, client_user_agent: env("BROWSER_AGENT") },
      custom_data: { value: 5, currency: "EUR" }, ...event,
    }] }),
  });
  want(answer.ok, `the gateway answers ${answer.status}`);
}

export async function signIn(tab, key, path = "/console") {
  await go(tab, path);
  await tab.type("#key", key);
  await submit(tab, "form button");
}

/** Waits until `probe`, which runs in the page, gives something. */
export async function until(tab, what, probe, ...args) {
  try {
    const found = await tab.waitForFunction(probe, { timeout: 10_000, polling: 100 }, ...args);
    return await found.jsonValue();
  } catch {
    throw new Error(`still waiting for ${what}; the page says: ${(await text(tab).catch(() => "")).slice(0, 600)}`);
  }
}
