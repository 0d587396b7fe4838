// What each page is for, done as a person would.

import { email, fill, go, leaks, pixels, post, press, submit, text, until, want } from "./support.mjs";

const [shop, outlet] = pixels;

/** The pages that the navigation must have. */
export const required = ["", "/funnel", "/live", "/receipt", "/issues", "/dead", "/quality", "/pixels", "/lab", "/system"]
  .map((page) => `/console${page}`);

/** Pages with something chosen that no link chooses. */
export const chosen = [`/console/quality?pixel=${shop}`, `/console/quality/meta?pixel=${shop}`];

const has = async (tab, ...words) => {
  const said = await text(tab);
  for (const word of words) want(said.includes(word), `it does not say ${word}: ${said.slice(0, 700)}`);
};
const isSilent = async (tab) => {
  const shown = leaks(await tab.content());
  want(shown.length === 0, `it shows ${shown.join(", ")}`);
};

export const flows = [
  {
    page: "/console",
    name: "it says who needs a person and why, and nobody else is red",
    run: async (tab) => {
      await go(tab, "/console");
      await has(tab, "Example Shop, outlet", "held");
      const red = await tab.$$eval("#overview tr.bad", (rows) => rows.map((row) => row.textContent));
      // the shop has dead letters
      want(red.length === 2 && [shop, outlet].every((id) => red.some((row) => row.includes(id))), `red are ${red.length} rows: ${red.join("; ").slice(0, 400)}`);
      await press(tab, /^Example Shop, web/);
      await has(tab, "Funnel");
    },
  },
  {
    page: "/console/funnel",
    name: "a pixel is chosen, and each number opens its list",
    run: async (tab) => {
      await go(tab, "/console/funnel");
      await fill(tab, "#pixel", shop);
      await press(tab, /^Show$/);
      for (const stage of ["Refused at the door", "Filtered", "Duplicates", "Waiting", "Dead", "Delivered"]) {
        const number = await tab.$(`a[aria-label^="${stage}: "]`);
        want(number, `${stage} opens nothing`);
        const at = tab.url();
        const to = await number.evaluate((node) => node.href);
        const answer = await go(tab, to);
        // a place on the same page is no answer
        want(answer === null ? to.includes("#") : answer.ok(), `${stage} leads to ${to}, which is answered ${answer?.status()}`);
        await go(tab, at);
      }
      want((await tab.$eval('a[aria-label^="Delivered: "]', (node) => Number(node.textContent.replace(/\D/g, "")))) > 40, "too few are delivered");
      await isSilent(tab);
    },
  },
  {
    page: "/console/quality",
    name: "it says which key is missing most",
    run: async (tab) => {
      await go(tab, `/console/quality?pixel=${shop}`);
      await has(tab, "Purchase", "Match keys");
      await isSilent(tab);
    },
  },
  {
    page: "/console/quality",
    name: "what Meta says comes after the page, and is called simulated",
    run: async (tab) => {
      await go(tab, `/console/quality?pixel=${shop}`);
      await until(tab, "Meta's figures", () => document.querySelector("#meta table") !== null);
      await has(tab, "Simulated.", "Match quality, of 10", "Deduplication", "Meta was asked");
      await isSilent(tab);
    },
  },
  {
    page: "/console/system",
    name: "the configuration is reloaded, and the page says so",
    run: async (tab) => {
      await go(tab, "/console/system");
      await submit(tab, "form[action='/console/system/reload'] button");
      want((await text(tab, "#said")).length > 5, "it says nothing");
      await has(tab, "Generation 2 is in force");
    },
  },
  {
    page: "/console/live",
    name: "events come in, are filtered, and wait while it is paused",
    run: async (tab) => {
      await go(tab, "/console/live");
      await until(tab, "the stream", () => document.querySelector("[data-state-of=rows]").textContent === "live");
      await post(shop, { event_id: "tail-1", event_name: "Purchase" });
      await post(shop, { event_id: "tail-2", event_name: "Lead" });
      const rows = (id) => [...document.querySelectorAll("#rows tr")].filter((row) => !row.hidden && row.textContent.includes(id)).length;
      for (const id of ["tail-1", "tail-2"]) await until(tab, id, rows, id);
      await tab.type("#filter", "lead");
      want((await tab.evaluate(rows, "tail-1")) === 0, "the filter hides nothing");
      want((await tab.evaluate(rows, "tail-2")) > 0, "the filter hides what fits");
      await fill(tab, "#filter", " ");
      await tab.click("[data-pauses=rows]");
      want((await tab.$eval("[data-pauses=rows]", (node) => node.getAttribute("aria-pressed"))) === "true", "it is not paused");
      await post(shop, { event_id: "tail-3" });
      await until(tab, "the count of what is missed", () => /paused, \d+ update/.test(document.querySelector("[data-state-of=rows]").textContent));
      want((await tab.evaluate(rows, "tail-3")) === 0, "it goes on while it is paused");
      await tab.click("[data-pauses=rows]");
      await post(shop, { event_id: "tail-4" });
      await until(tab, "tail-4", rows, "tail-4");
      await isSilent(tab);
    },
  },
  {
    page: "/console/receipt",
    name: "an event is found by its id, its order and the address typed, which nothing keeps",
    run: async (tab) => {
      const find = async (what) => {
        await go(tab, "/console/receipt");
        await fill(tab, "#q", what);
        await press(tab, /^Find$/);
        await isSilent(tab);
        want(!tab.url().includes("%40") && !tab.url().includes("@"), `the address is in that of the page: ${tab.url()}`);
      };
      await find("good-0");
      await has(tab, "good-0", "delivered", "What was changed, and why", "user_data.em", "Its requests to Graph");
      await find("order-held-1");
      await has(tab, "held-1");
      await find(email);
      await has(tab, "held-1");
      await press(tab, /^(held|bad)-[12]$/);
      await has(tab, "Event", "Copy as curl");
      await isSilent(tab);
      await find("nobody@example.com");
      want(!(await text(tab)).includes("nobody@example.com"), "it shows what was typed");
    },
  },
  {
    page: "/console/issues",
    name: "an issue is acknowledged and opened again, and its redrive is tried out",
    run: async (tab) => {
      await go(tab, "/console/issues");
      await has(tab, shop, "Cause", "What to do");
      await press(tab, /^Acknowledge$/);
      await has(tab, "Acknowledged");
      await press(tab, /^Open again$/);
      await press(tab, /dry run/);
      await isSilent(tab);
    },
  },
  {
    page: "/console/dead",
    name: "letters are filtered, one is opened, and its redrive is looked at before it is done",
    run: async (tab) => {
      await go(tab, "/console/dead");
      await fill(tab, "#reason", "refused");
      await press(tab, /^Show$/);
      await has(tab, "2804019");
      await press(tab, /^\d+-\d+$/);
      await has(tab, "Event, masked", "bad-");
      await isSilent(tab);
      await press(tab, /^Redrive…$/);
      await has(tab, "what would happen", "Nothing was done yet");
      await press(tab, /^Redrive 1 letters?$/);
      want((await text(tab, "#said")).length > 5, "it does not say what came of it");
    },
  },
  {
    page: "/console/pixels",
    name: "a token is looked at, Meta is asked only when that is meant, and a hold is released",
    run: async (tab) => {
      await go(tab, "/console/pixels");
      await has(tab, outlet, "held");
      await press(tab, /^Verify/);
      await has(tab, "No event is sent");
      await press(tab, /^Ask Meta/);
      await isSilent(tab);
      await go(tab, "/console/pixels");
      await press(tab, /^Release /);
      want((await text(tab, "#said")).length > 5, "it does not say what came of it");
    },
  },
  {
    page: "/console/pixels",
    name: "a pixel is held by hand, which is said, and released",
    run: async (tab) => {
      await go(tab, `/console/pixels?pixel=${shop}`);
      await tab.$eval(`section[aria-labelledby="p${shop}"] details`, (node) => { node.open = true; });
      await fill(tab, `#why${shop}`, "stock is counted");
      await press(tab, new RegExp(`^Hold pixel ${shop}$`));
      await has(tab, "held_by_hand", "stock is counted");
      await go(tab, "/console");
      await has(tab, "held by hand");
      await go(tab, `/console/pixels?pixel=${shop}`);
      await press(tab, new RegExp(`^Release pixel ${shop}$`));
      want((await text(tab, "#said")).includes("released"), "it does not say what came of it");
      await isSilent(tab);
    },
  },
  {
    page: "/console/lab",
    name: "a test code is started and stopped",
    run: async (tab) => {
      await go(tab, "/console/lab");
      await fill(tab, "#code_pixel", shop);
      await fill(tab, "#code", "TEST777");
      await press(tab, /^Start the code$/);
      await has(tab, "TEST777");
      await press(tab, new RegExp(`^Stop the codes of pixel ${shop}$`));
      want((await text(tab, "#said")).length > 5, "it does not say what came of it");
    },
  },
  {
    page: "/console/lab",
    name: "an event is pasted, checked and shown masked",
    run: async (tab) => {
      await go(tab, "/console/lab");
      await fill(tab, "form[action='/console/lab/check'] #pixel", shop);
      const event = { event_name: "Purchase", event_time: Math.floor(Date.now() / 1000), action_source: "website", user_data: { em: email, ph: "x" }, event_source_url: "https://shop.example/", custom_data: { value: 1, currency: "EUR" } };
      await tab.$eval("#payload", (node, value) => { node.value = value; }, JSON.stringify(event));
      await tab.click("form[action='/console/lab/check'] button:not([formaction])");
      await until(tab, "what becomes of it", () => document.querySelector("#result")?.textContent.includes("Purchase") || document.querySelector("#result")?.textContent.includes("Event 1"));
      await tab.$eval("#payload", (node) => { node.value = ""; });
      await isSilent(tab);
    },
  },
];
