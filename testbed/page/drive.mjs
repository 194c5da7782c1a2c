// Drives a headless Chromium through pages, and prints what it saw as JSON: node drive.mjs FOLDER <PLAN, where FOLDER has the modules.
// It judges nothing: what must hold is said by scenarios/pages.py.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.argv[2], "package.json"));
const { chromium } = require("playwright-core");
const jsQR = require("jsqr");
const { PNG } = require("pngjs");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const plan = JSON.parse(readFileSync(0, "utf8"));
const browser = await chromium.launch({
  executablePath: plan.chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});

// What reaches beyond the right edge of the window.
function overflowing() {
  const width = document.documentElement.clientWidth;
  const beyond = [...document.querySelectorAll("body *")].filter((it) => it.getBoundingClientRect().right > width + 0.5);
  const names = beyond.map((it) => `${it.tagName.toLowerCase()}.${it.getAttribute("class") ?? ""}`);
  return document.documentElement.scrollWidth > width ? ["the window scrolls", ...names] : names;
}

function content() {
  const all = (what, pick) => [...document.querySelectorAll(what)].map(pick);
  const seen = (it) => it.checkVisibility();
  return {
    language: document.documentElement.lang,
    text: document.body.innerText,
    addresses: all("a[href]", (it) => it.getAttribute("href")),
    links: all(".single .link", (it) => it.textContent),
    buttons: all("button", (it) => it).filter(seen).length,
    first: document.querySelector("details.platform summary")?.firstChild?.textContent.trim(),
    logo: document.querySelector("img.logo")?.naturalWidth ?? 0,
  };
}

async function codes(page) {
  const found = [];
  for (const code of await page.locator("svg.qr").all()) {
    const { data, width, height } = PNG.sync.read(await code.screenshot());
    found.push(jsQR(new Uint8ClampedArray(data), width, height)?.data ?? null);
  }
  return found;
}

// Presses Tab until the first element has the focus again, and tells whether each showed that it had it.
async function keyboard(page) {
  const stops = [];
  for (let press = 0; press < 100; press++) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const it = document.activeElement;
      if (!it || it === document.body) return null;
      const known = it.dataset.visited !== undefined;
      it.dataset.visited = "";
      return { known, shown: getComputedStyle(it).outlineStyle !== "none" };
    });
    if (!stop || stop.known) break;
    stops.push(stop.shown);
  }
  const reachable = await page.evaluate(
    () => [...document.querySelectorAll("a[href], button, summary")].filter((it) => it.checkVisibility()).length,
  );
  return { stops: stops.length, shown: stops.every(Boolean), reachable };
}

async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.html.slice(0, 200)).join(" ")}`);
}

// axe-core needs timers, which do not run where script is off: it looks at the same document without the page's script.
async function violationsOfBare(page, options) {
  const context = await browser.newContext({ ...options, javaScriptEnabled: true });
  try {
    const other = await context.newPage();
    const html = (await page.content()).replace(/<script\b[^]*?<\/script>/g, "");
    await other.route("**/*", (route) => route.fulfill({ contentType: "text/html; charset=utf-8", body: html }));
    await other.goto(page.url(), { waitUntil: "load" });
    return await violations(other);
  } finally {
    await context.close();
  }
}

async function look(page, name, options) {
  await page.evaluate(() => document.querySelectorAll("details").forEach((it) => (it.open = true)));
  const seen = { name, ...(await page.evaluate(content)), overflowing: await page.evaluate(overflowing) };
  seen.violations = await (options.javaScriptEnabled ? violations(page) : violationsOfBare(page, options));
  await page.screenshot({ path: join(plan.screenshots, `${name}.png`), fullPage: true });
  return seen;
}

async function visit(visit) {
  const options = {
    locale: visit.language === "ru" ? "ru-RU" : "en-US",
    colorScheme: visit.theme,
    viewport: { width: visit.width, height: 900 },
    // As screens are that show a code to a camera.
    deviceScaleFactor: 2,
    javaScriptEnabled: visit.script,
    ...(visit.agent ? { userAgent: visit.agent } : {}),
  };
  const context = await browser.newContext(options);
  try {
    const page = await context.newPage();
    const [asked, said] = [[], []];
    page.on("request", (request) => asked.push(request.url().slice(0, 100)));
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(String(error)));
    if (visit.guess) {
      for (let times = 0; times < 60; times++) {
        if ((await context.request.get(visit.guess)).status() === 429) break;
      }
    }
    const answer = await page.goto(visit.url, { waitUntil: "load" });
    const status = answer.status();
    // A page asks for its own address; a logo in it is none that is asked for.
    const requests = asked.filter((url) => !url.startsWith("data:"));
    const keys = visit.keyboard ? await keyboard(page) : undefined;
    const seen = [{ ...(await look(page, visit.name, options)), status, requests, keys }];
    if (visit.codes) seen[0].codes = await codes(page);
    for (const [step, button] of (visit.press ?? []).entries()) {
      const [answer] = await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.locator(button).click()]);
      seen.push({ ...(await look(page, `${visit.name}-${step + 1}`, options)), status: answer.status(), url: page.url() });
    }
    // A refused load of the icon that browsers ask for by themselves is none of the page's.
    seen[0].said = said.filter((words) => !words.includes("favicon"));
    return seen;
  } finally {
    await context.close();
  }
}

async function firstPaints(url, times) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const paints = [];
  for (let time = 0; time < times; time++) {
    const page = await context.newPage();
    await page.goto(url, { waitUntil: "load" });
    const paint = await page.waitForFunction(() => performance.getEntriesByName("first-paint")[0]?.startTime);
    paints.push(await paint.jsonValue());
    await page.close();
  }
  await context.close();
  return paints;
}

try {
  const seen = [];
  for (const one of plan.visits) seen.push(...(await visit(one)));
  const paints = plan.paint ? await firstPaints(plan.paint, 7) : [];
  process.stdout.write(JSON.stringify({ seen, paints, version: browser.version() }));
} finally {
  await browser.close();
}
