// Makes pages quicker to use. Every page works without it: the style hides what needs a script where none runs.

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector, within = document) => within.querySelector(selector);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const html = window.trustedTypes
  ? window.trustedTypes.createPolicy("keyrack", { createHTML: (text) => text })
  : { createHTML: (text) => text };

// Words in the reader's language: the page brings those of this file where it is not in English.
const translated = JSON.parse(document.body.dataset.words ?? "{}");
const t = (text, values = {}) => (translated[text] ?? text).replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);

// One live line for the whole page.
const live = document.createElement("p");
live.className = "quiet";
live.setAttribute("role", "status");
document.body.append(live);
function say(words) {
  live.textContent = "";
  requestAnimationFrame(() => { live.textContent = words; });
}

// Copy. On plain HTTP there is no clipboard API: then by selection, and at last by telling how.
async function toClipboard(text, field) {
  if (window.isSecureContext && navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { /* refused by the browser: try the older way */ }
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.readOnly = true;
  area.className = "quiet";
  (field?.closest("dialog") ?? document.body).append(area);
  area.select();
  let copied = false;
  try { copied = document.execCommand("copy"); } catch { /* told below */ }
  area.remove();
  return copied;
}

async function copy(button) {
  const source = one(button.dataset.copy);
  const isField = source.matches("input, textarea");
  const label = one("[data-label]", button) ?? button;
  const before = label.dataset.before ??= label.textContent;
  if (await toClipboard(isField ? source.value : source.textContent, button)) {
    button.focus();
    label.textContent = t("Copied");
    say(t("Copied"));
    if (button.dataset.stores !== undefined) stored();
    await wait(2000);
    label.textContent = before;
    return;
  }
  if (isField) source.select();
  else getSelection().selectAllChildren(source);
  source.focus();
  const keys = /Mac|iP/.test(navigator.platform) ? "Command+C" : "Ctrl+C";
  const how = one("[data-copy-how]");
  if (how) how.textContent = t("The browser did not copy. The text is selected: press {keys}.", { keys });
  say(t("The text is selected. Press {keys}.", { keys }));
}

// The page that shows a secret once asks before it is left, until the secret was copied, downloaded or acknowledged.
const once = one("[data-once]");
let guarded = Boolean(once);
function stored() { guarded = false; }
if (once) {
  addEventListener("beforeunload", (event) => { if (guarded) event.preventDefault(); });
}

// Test this key: the request a program would make, from here.
async function testKey(form) {
  const result = one("[data-test-result]");
  result.hidden = false;
  result.className = "banner";
  result.textContent = t("Asking…");
  let tone = "bad";
  let words;
  try {
    const answer = await fetch(form.dataset.test, {
      headers: { Authorization: `Bearer ${one("[name=secret]", form).value}`, Accept: "application/json" },
      credentials: "omit",
      cache: "no-store",
    });
    const body = await answer.json();
    if (answer.ok) {
      tone = "ok";
      const left = answer.headers.get("X-RateLimit-Remaining");
      const limit = answer.headers.get("X-RateLimit-Limit");
      words = t("{status} OK. The key works, as {email}.", { status: answer.status, email: body.email });
      if (left && limit) words += ` ${t("{left} of {limit} requests left.", { left, limit })}`;
    } else {
      words = `${answer.status}. ${body.message ?? ""}`;
    }
  } catch {
    words = t("No answer. Look whether the server runs and this machine reaches it.");
  }
  result.className = `banner ${tone}`;
  result.textContent = words;
}

// A confirmation page, shown as a dialog over the page that leads to it.
async function confirmHere(link) {
  const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(html.createHTML(await answer.text()), "text/html");
  const form = one("main form[data-confirm]", page);
  if (!answer.ok || answer.redirected || !form) throw new Error("not a confirmation page");
  const dialog = document.createElement("dialog");
  const title = document.createElement("h2");
  title.id = "dialog-title";
  title.textContent = one("h1", page).textContent;
  dialog.setAttribute("aria-labelledby", title.id);
  dialog.append(title, document.importNode(form, true));
  document.body.append(dialog);
  // The dialog is the page that the link leads to: Back closes it, and a reload shows that page.
  history.pushState(null, "", link.href);
  const back = () => dialog.close("back");
  addEventListener("popstate", back, { once: true });
  dialog.addEventListener("close", () => {
    removeEventListener("popstate", back);
    if (dialog.returnValue !== "back") history.back();
    dialog.remove();
    link.focus();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-cancel]")) {
      event.preventDefault();
      dialog.close();
    }
  });
  dialog.showModal();
  one("[data-cancel]", dialog)?.focus();
}

// A list that is filtered, sorted or paged: what `main` holds is fetched and changed, and the address with it. Where
// that fails, or leads to another page, the browser goes there.
let shown = location.href;
let fetching;
async function swap(url, push = true) {
  fetching?.abort();
  fetching = new AbortController();
  const answer = await fetch(url, { headers: { Accept: "text/html" }, signal: fetching.signal });
  if (!answer.ok || new URL(answer.url).pathname !== location.pathname) return location.assign(answer.url);
  const page = new DOMParser().parseFromString(html.createHTML(await answer.text()), "text/html");
  const main = one("main", page);
  const focused = document.activeElement;
  const again = focused?.id ? `#${CSS.escape(focused.id)}` : focused?.matches("a[data-swap]") && `a[data-swap][href="${CSS.escape(focused.getAttribute("href"))}"]`;
  one("main").replaceChildren(...main.childNodes);
  document.title = page.title;
  if (push) history.pushState(null, "", answer.url);
  shown = location.href;
  (again && one(again) || one("main")).focus({ preventScroll: true });
  say(one("main caption, main em")?.textContent ?? document.title);
}
const goTo = (url) => swap(url).catch((error) => { if (error.name !== "AbortError") location.assign(url); });
addEventListener("popstate", () => {
  if (location.href !== shown) swap(location.href, false).catch(() => location.reload());
});

// How long something still lasts, counted down.
const spans = [[t("{n} d"), 86400], [t("{n} h"), 3600], [t("{n} min"), 60], [t("{n} s"), 1]];
function countDown() {
  for (const clock of all("[data-until]")) {
    let left = Math.max(0, Math.round((Date.parse(clock.dataset.until) - Date.now()) / 1000));
    // Once it ran out here; a server whose clock is behind ours is not asked again and again.
    if (left === 0) {
      if (clock.dataset.runs) location.reload();
      continue;
    }
    clock.dataset.runs = "yes";
    const first = spans.findIndex(([, seconds]) => left >= seconds);
    const span = spans.slice(first, first + 2).map(([words, seconds]) => {
      const count = Math.floor(left / seconds);
      left -= count * seconds;
      return words.replace("{n}", count);
    }).join(" ");
    clock.textContent = t("in {span}", { span });
  }
}
if (one("[data-until]")) setInterval(countDown, 1000);

document.addEventListener("click", (event) => {
  const copies = event.target.closest("[data-copy]");
  if (copies) return void copy(copies);
  const shows = event.target.closest("[data-show]");
  if (shows) {
    const field = one(shows.dataset.show);
    const hidden = field.type === "password";
    field.type = hidden ? "text" : "password";
    shows.textContent = hidden ? t("Hide") : t("Show");
    shows.setAttribute("aria-pressed", String(hidden));
    return;
  }
  if (event.target.closest("a[data-stores]")) stored();
  const asks = event.target.closest("a[data-dialog]");
  const plainly = !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button);
  if (asks && plainly) {
    event.preventDefault();
    asks.closest("details.row-menu")?.removeAttribute("open");
    confirmHere(asks).catch(() => location.assign(asks.href));
  }
  const swaps = event.target.closest(one("form[data-swap]") ? "a[data-swap], .pages a" : "a[data-swap]");
  if (swaps && plainly) {
    event.preventDefault();
    goTo(swaps.href).then(() => { if (swaps.rel) scrollTo(0, 0); });
  }
  if (event.target.closest("[data-palette]") && plainly) {
    event.preventDefault();
    openPalette();
  }
  for (const menu of all("details.row-menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && event.target.closest?.("details.row-menu[open]");
  if (!menu) return;
  menu.open = false;
  one("summary", menu).focus();
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.test !== undefined) {
    event.preventDefault();
    testKey(form);
    return;
  }
  if (form.dataset.stores !== undefined) {
    stored();
    return;
  }
  if (form.dataset.swap !== undefined) {
    event.preventDefault();
    const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    goTo(`${form.getAttribute("action")}?${asked}`);
    return;
  }
  // A double click sends a form once.
  if (form.method === "post") {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  }
});
addEventListener("pageshow", () => {
  for (const form of all("form[data-sent]")) delete form.dataset.sent;
});

// An error summary takes the focus, so that it is read first.
one("[data-errors]")?.focus();

// The time zone that this browser is in, while nothing else was chosen.
const zone = one("[data-guess-zone]");
if (zone && zone.value === "UTC") {
  const guess = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (guess) zone.value = guess;
}

// The overview goes on by itself when the first request has come; after ten minutes it has waited enough.
const waiting = one("[data-waiting]");
async function look(left) {
  await wait(4000);
  if (!document.hidden) {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
    if (answer?.ok && !(await answer.text()).includes("data-waiting")) return location.reload();
  }
  if (left > 0) await look(left - 1);
}
if (waiting) look(150);

// The request log as it grows, newest first. Paused, the newest are counted and shown when it goes on.
const liveButton = one("[data-live]");
if (liveButton) {
  const table = one("[data-log]");
  const rows = one("tbody", table);
  const sample = one("template[data-row]").content.firstElementChild;
  const words = one("[data-live-words]");
  const most = Number(liveButton.dataset.liveRows);
  let source;
  let shown = 0;
  let missed = 0;
  let waits = [];
  let state = "ended";

  const rowOf = (data) => {
    const row = sample.cloneNode(true);
    const at = (name) => one(`[data-at="${name}"]`, row);
    at("path").textContent = `${data.method} ${data.path}`;
    at("path").href = data.href;
    at("status").textContent = data.status;
    at("status").classList.add(data.tone);
    at("time").textContent = data.time;
    at("time").dateTime = data.iso;
    at("time").title = data.full;
    at("took").textContent = data.took;
    at("ip").textContent = data.ip;
    if (data.key) {
      at("key").textContent = data.key;
      at("key").href = data.key_href;
    } else at("key").replaceWith(t("None"));
    return row;
  };
  // At most once a second: the line is read aloud.
  let telling = 0;
  const tell = () => { telling ||= setTimeout(tellNow, 1000); };
  const tellNow = () => {
    telling = 0;
    const parts = [state === "runs" ? t("Live.") : state === "waits" ? t("Paused.") : ""];
    if (shown) parts.push(t("{n} new since it began.", { n: shown }));
    if (waits.length) parts.push(t("{n} hidden.", { n: waits.length }));
    if (missed) parts.push(t("{n} missed: more came than could be shown.", { n: missed }));
    words.textContent = parts.join(" ");
  };
  const show = (list) => {
    if (!list.length) return;
    table.hidden = false;
    one("[data-none]").hidden = true;
    rows.prepend(...list.map(rowOf).reverse());
    shown += list.length;
    while (rows.rows.length > most) rows.lastElementChild.remove();
  };
  const begin = () => {
    source = new EventSource(liveButton.dataset.live);
    source.addEventListener("message", (event) => {
      waits.push(JSON.parse(event.data));
      if (waits.length > most) { waits.shift(); missed += 1; }
      if (state === "runs") { show(waits); waits = []; }
      tell();
    });
    source.addEventListener("missed", (event) => { missed += Number(event.data); tell(); });
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) return;
      words.textContent = t("The live tail ended. Load the page again to see whether you are still signed in.");
      liveButton.textContent = t("Live");
      state = "ended";
      source = undefined;
    });
  };
  liveButton.addEventListener("click", () => {
    const goesOn = state !== "runs";
    if (goesOn && !source) begin();
    if (goesOn) { show(waits); waits = []; }
    liveButton.textContent = goesOn ? t("Pause") : t("Go on");
    state = goesOn ? "runs" : "waits";
    tellNow();
  });
  addEventListener("pagehide", () => source?.close());
}

// The language of the samples is remembered.
const languages = all(".langs > input").filter((input) => isNaN(input.value));
try {
  const last = localStorage.getItem("language");
  for (const input of languages) {
    if (input.value === last) input.checked = true;
    input.addEventListener("change", () => localStorage.setItem("language", input.value));
  }
} catch { /* no storage: the first language */ }

// The palette: the page /go over any other, as it is typed. Arrows walk through what it found.
let palette;
async function openPalette() {
  if (palette) return;
  palette = document.createElement("dialog");
  palette.className = "palette";
  palette.setAttribute("aria-label", t("Go to"));
  const field = document.createElement("input");
  field.type = "search";
  field.autocomplete = "off";
  field.spellcheck = false;
  field.setAttribute("aria-label", t("Search pages, keys, users and ids"));
  const results = document.createElement("div");
  results.className = "results";
  palette.append(field, results);
  palette.addEventListener("close", () => { palette.remove(); palette = undefined; });
  palette.addEventListener("click", (event) => { if (event.target === palette) palette.close(); });
  let asked;
  const ask = async () => {
    const q = field.value;
    asked?.abort();
    asked = new AbortController();
    try {
      const answer = await fetch(`/go?q=${encodeURIComponent(q)}`, { headers: { Accept: "text/html" }, signal: asked.signal });
      // It names one thing whole: there is one way to go.
      if (answer.redirected || !answer.ok) {
        const link = document.createElement("a");
        link.href = answer.url;
        link.textContent = answer.ok ? t("Open it") : t("Open the search");
        if (!answer.ok && !answer.redirected) link.href = "/go";
        return results.replaceChildren(link);
      }
      const page = new DOMParser().parseFromString(html.createHTML(await answer.text()), "text/html");
      const found = one("[data-results]", page);
      results.replaceChildren(...found.childNodes);
      const count = all("a, button", results).length;
      say(count === 1 ? t("1 result") : t("{n} results", { n: count }));
    } catch (error) {
      if (error.name !== "AbortError") location.assign("/go");
    }
  };
  let soon;
  field.addEventListener("input", () => { clearTimeout(soon); soon = setTimeout(ask, 60); });
  palette.addEventListener("keydown", async (event) => {
    const stops = [field, ...all("a, button", results)];
    const at = stops.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      stops[(at + step + stops.length) % stops.length].focus();
    } else if (event.key === "Enter" && at === 0) {
      event.preventDefault();
      clearTimeout(soon);
      await ask();
      one("a, button", results)?.click();
    }
  });
  document.body.append(palette);
  palette.showModal();
  field.focus();
  await ask();
}
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || !one("[data-palette]")) return;
  event.preventDefault();
  if (!one("dialog[open]")) openPalette();
});

// Keys: / search, ? help, c create, j and k rows, g and a letter go to a page.
if (document.documentElement.dataset.shortcuts !== "off") {
  let going = 0;
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]")) return;
    const rows = all("tbody th a");
    const at = rows.indexOf(document.activeElement);
    let target;
    if (Date.now() - going < 1000) target = one(`a[data-go="${CSS.escape(event.key)}"]`);
    else if (event.key === "/") {
      const search = one("input[type=search]");
      event.preventDefault();
      if (search) { search.focus(); search.select(); } else if (one("[data-palette]")) openPalette();
    } else if (event.key === "?") showKeys();
    else if (event.key === "c") target = one("a[data-create]");
    else if (event.key === "j") rows[Math.min(at + 1, rows.length - 1)]?.focus();
    else if (event.key === "k") rows[Math.max(at - 1, 0)]?.focus();
    going = event.key === "g" ? Date.now() : 0;
    target?.click();
  });
}

function showKeys() {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "keys-title");
  const title = document.createElement("h2");
  title.id = "keys-title";
  title.textContent = t("Keyboard");
  const list = document.createElement("dl");
  list.className = "keys-help";
  const keys = [["Ctrl K", t("Go to anything")], ["/", t("Search")], ["c", t("Create")], ["j k", t("Next row, previous row")], ["?", t("This list")]];
  for (const link of all(".rail > nav a[data-go]")) keys.push([`g ${link.dataset.go}`, link.textContent.trim()]);
  for (const [key, words] of keys) {
    const term = document.createElement("dt");
    const mark = document.createElement("kbd");
    const meaning = document.createElement("dd");
    mark.textContent = key;
    meaning.textContent = words;
    term.append(mark);
    list.append(term, meaning);
  }
  const close = document.createElement("button");
  close.textContent = t("Close");
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  dialog.append(title, list, close);
  document.body.append(dialog);
  dialog.showModal();
}
