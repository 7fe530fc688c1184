// Every page reads without this file; it adds keys, the preview's wait, live counts and the blur of names.
import { tinykeys } from "./vendor/tinykeys.js";

const $ = (query, from = document) => from.querySelector(query);
const all = (query, from = document) => [...from.querySelectorAll(query)];
const typing = (event) => event.target.closest?.("input, textarea, select, [contenteditable]");
const lettersOff = () => localStorage.getItem("letters") === "off";
const key = (act) => (event) => {
  if (typing(event) || lettersOff() || $("dialog[open]")) return;
  if (act(event) !== false) event.preventDefault();
};

// ---- keys -----------------------------------------------------------------------------------------
const rows = () => all("a.row").filter((row) => row.offsetParent);
function step(by) {
  const list = rows();
  if (!list.length) return false;
  const here = list.indexOf(document.activeElement);
  const chosen = here < 0 ? list.findIndex((row) => row.closest("tr.on")) : here;
  const next = list[Math.max(0, Math.min(list.length - 1, (chosen < 0 && by > 0 ? -1 : chosen) + by))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}
const go = (path) => () => { location.href = path; };
const press = (query) => () => { const it = $(query); if (!it) return false; it.click(); };

function fix() {
  const form = $(".finding details.act, details.act.first");
  if (form) { form.open = true; $("input:not([type=hidden]), select, textarea", form)?.focus(); return; }
  const link = $("[data-fix]");
  if (!link) return false;
  link.click();
}

tinykeys(window, {
  "/": key(go("/find")),
  "Shift+?": key(() => $("#keys")?.showModal()),
  "?": key(() => $("#keys")?.showModal()),
  "g t": key(go("/")), "g w": key(go("/worklists")), "g c": key(go("/worklists/all")), "g r": key(go("/remittances")),
  "g p": key(go("/patients")), "g b": key(go("/books")), "g d": key(go("/worklists/denied")), "g e": key(go("/visits")), "g k": key(go("/desk/ehr")),
  j: key(() => step(1)), k: key(() => step(-1)), ArrowDown: key(() => rows().includes(document.activeElement) && step(1)), ArrowUp: key(() => rows().includes(document.activeElement) && step(-1)),
  n: key(press("[data-next]")), e: key(fix), r: key(press("[data-news]")), p: key(() => window.print()),
  "]": key(press("[rel=next]")), "[": key(press("[rel=prev]")),
});

// Esc takes the hand out of a field, so that the letters work again.
window.addEventListener("keydown", (event) => { if (event.key === "Escape" && typing(event) && !$("dialog[open]")) event.target.blur(); });

// A digit answers on the clinician's page.
all("[data-digit]").forEach((button) => tinykeys(window, { [button.dataset.digit]: key(() => {
  button.click();
  if (button.localName === "summary") $("input:not([type=hidden])", button.parentElement)?.focus();
}) }));

const off = $("#keys-off");
if (off) {
  off.checked = lettersOff();
  off.addEventListener("change", () => localStorage.setItem("letters", off.checked ? "off" : "on"));
}

// ---- one row is chosen: the one whose preview is shown ----------------------------------------------
document.addEventListener("focusin", (event) => {
  const row = event.target.closest?.("a.row");
  if (!row) return;
  all("tr.on").forEach((tr) => tr.classList.remove("on"));
  row.closest("tr")?.classList.add("on");
});

// Filters apply as they are chosen; without this file there is a button.
all("form.filters").forEach((form) => {
  form.addEventListener("change", () => form.requestSubmit());
  all(".nojs", form).forEach((button) => { button.hidden = true; });
});
all("[data-print]").forEach((button) => { button.hidden = false; button.addEventListener("click", () => window.print()); });
all("[data-copy]").forEach((button) => { button.hidden = false; button.addEventListener("click", () => navigator.clipboard?.writeText(button.dataset.copy)); });

// Tabs on one page: without this file all panels are shown one after the other.
all("[data-tabs]").forEach((bar) => {
  const panels = all("[data-panel]", bar.parentElement);
  const show = (name) => {
    panels.forEach((panel) => { panel.hidden = panel.dataset.panel !== name; });
    all("a", bar).forEach((tab) => tab.getAttribute("href") === "#" + name ? tab.setAttribute("aria-current", "true") : tab.removeAttribute("aria-current"));
  };
  const known = () => panels.some((panel) => "#" + panel.dataset.panel === location.hash);
  bar.addEventListener("click", (event) => {
    const tab = event.target.closest("a");
    if (!tab) return;
    event.preventDefault();
    history.replaceState(null, "", tab.getAttribute("href"));
    show(tab.getAttribute("href").slice(1));
  });
  show(known() ? location.hash.slice(1) : panels[0]?.dataset.panel);
});

// ---- live: counts change in place, lists never do ----------------------------------------------------
const listed = $("[data-stamp]");
let lost = 0;
async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/live" + (listed ? "?list=" + encodeURIComponent(listed.dataset.list) : ""), { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const news = await answer.json();
    lost = 0;
    for (const [href, count] of Object.entries(news.counts)) {
      const n = $(`[data-n="${href}"]`);
      if (n && n.textContent !== count) n.textContent = count;
    }
    const lamp = $("[data-lamp]");
    if (lamp && lamp.firstElementChild.textContent !== news.lamp) { lamp.firstElementChild.textContent = news.lamp; lamp.classList.toggle("amber", news.stuck); }
    const banner = $("[data-banner]");
    if (listed && banner && news.stamp !== listed.dataset.stamp) banner.hidden = false;
  } catch {
    lost += 1;
    const lamp = $("[data-lamp]");
    if (lamp && lost > 1) { lamp.classList.add("amber"); lamp.firstElementChild.textContent = "Not live. Trying again."; }
  }
}
if ($("[data-lamp]")) setInterval(look, 15000);

// ---- names blur after three idle minutes and in hidden tabs; money and claim numbers stay --------------
let idle;
const blur = (on) => all("[data-name]").forEach((name) => name.classList.toggle("blur", on));
function awake() {
  blur(false);
  clearTimeout(idle);
  idle = setTimeout(() => blur(true), 180000);
}
["keydown", "pointermove", "focus"].forEach((event) => window.addEventListener(event, awake, { passive: true }));
document.addEventListener("visibilitychange", () => document.hidden ? blur(true) : awake());
awake();
