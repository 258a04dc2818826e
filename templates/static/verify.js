// The page behind a scanned QR code. It takes the signed statement out of the address bar, verifies
// it on this device and fills in what it says; the server never receives it. A statement that does
// not hold turns the page, and a bad standing beats everything. Without the register it relies on
// the kept keys and on a signed status list that is still fresh, and says so.

import { Refused, fromText, listOf, standing, verify } from "./statement.js";

const KEYS = "/.well-known/jwks.json";
const BAD_STANDINGS = ["revoked", "cancelled", "suspended", "replaced"];
const SAID = { unknown_key: "statement-of-others", other_host: "statement-elsewhere" };
for (const reason of ["bad_signature", "outside_key_window", "other_id", "not_canonical"]) SAID[reason] = "statement-altered";

const page = document.getElementById("verdict");
const silent = "silent" in page.dataset;
const chinese = document.documentElement.lang !== "en";

const carries = () => /^#[0-9]+$/.test(location.hash);
if (carries()) {
  history.replaceState({ digits: location.hash.slice(1) }, "", location.pathname + location.search);
}
const { digits } = history.state || {};
if (digits) {
  document.querySelector("a.switch").hash = digits;
  answer().catch(() => note("unchecked"));
} else keep();
addEventListener("hashchange", () => carries() && location.reload());
// What the browser shows once more out of its memory may have been revoked since.
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
if (navigator.serviceWorker) navigator.serviceWorker.register("/sw.js");

async function answer() {
  const id = location.pathname.slice(3, 19).toLowerCase();
  let keys, statement;
  try {
    keys = (await (await published(KEYS)).json()).keys;
    const { address, cose } = fromText(`https://${location.host}/v/${id}#${digits}`);
    statement = await verify(cose, keys, address);
  } catch (error) {
    return refuse(error, keys);
  }
  step("statement-genuine", true);
  if (silent) return conclude(statement, keys);
  keep(listOf(statement));
  if (!page.dataset.version) return;
  const agrees = agree(statement);
  step("agrees", agrees);
  if (agrees) {
    fill("name", statement.name);
    note("genuine");
  } else if (!BAD_STANDINGS.includes(page.dataset.status)) {
    say("statement-differs");
  }
}

// Say what a refused statement means; kept keys may be too old to know a newer one.
function refuse(error, keys) {
  if (!(error instanceof Refused) || (silent && error.reason === "unknown_key")) {
    if (silent) say("register-silent");
    note("unchecked");
  } else if (!BAD_STANDINGS.includes(page.dataset.status)) {
    step("statement-genuine", false);
    say(SAID[error.reason] || "statement-unreadable");
  }
}

// Conclude without the register: only a fresh status list can tell the standing.
async function conclude(statement, keys) {
  const now = Date.now() / 1000;
  const listed = await published(`/status/${listOf(statement)}`)
    .then((answer) => answer.arrayBuffer())
    .then((signed) => standing(new Uint8Array(signed), keys, statement, now))
    .catch(() => ({ standing: null }));
  const { specimen } = statement;
  if (listed.standing) {
    step("standing", listed.standing === "valid");
    say(listed.standing === "valid" ? "listed" : `standing-${listed.standing}`, specimen);
    note("listed").querySelector("time").textContent = time(listed.issuedAt * 1000);
  } else {
    say("standing-unknown", specimen);
    note("unlisted");
  }
  for (const name of ["name", "number", "project"]) fill(name, statement[name]);
  fill("host", statement.issuer);
  fill("exam-on", day(statement.exam_on));
  if (statement.version > 1) fill("version", statement.version);
  show("facts");
  show("compare");
}

async function published(address) {
  const answer = await fetch(address, { cache: "no-cache", credentials: "omit", referrerPolicy: "no-referrer" });
  if (!answer.ok) throw new Error(address);
  return answer;
}

function agree(statement) {
  const shown = page.dataset;
  return (
    statement.number === shown.number &&
    String(statement.version) === shown.version &&
    statement.project === shown.project &&
    statement.exam_on === shown.examOn &&
    mask(statement.name) === shown.name
  );
}

function mask(name) {
  const [first, ...others] = name;
  return first + others.map((one) => ("· ".includes(one) ? one : "＊")).join("");
}

// Turn the page to another verdict; what is not ours has no facts but its number.
function say(reason, specimen = false) {
  const kind = specimen ? "[data-specimen]" : ":not([data-specimen])";
  const said = document.querySelector(`template[data-said=${reason}]${kind}`);
  const { status } = said.dataset;
  document.getElementById("said").replaceChildren(said.content.cloneNode(true));
  page.className = specimen && status === "valid" ? "sample" : status;
  page.dataset.status = status;
  document.title = document.querySelector("#said h1").firstChild.textContent;
  document.getElementById("checked").textContent = time(Date.now());
  show("steps");
  if (silent) return;
  document.getElementById("compare")?.remove();
  for (const row of document.querySelectorAll("#facts [data-fact]:not([data-fact=number])")) row.remove();
  if (page.dataset.number) show("genuine");
}

function note(name) {
  const content = document.querySelector(`template[data-note=${name}]`).content.cloneNode(true);
  const place = document.getElementById("local");
  place.replaceChildren(content);
  return place;
}

function fill(name, value) {
  const row = document.querySelector(`#facts [data-fact=${name}]`);
  row.querySelector("dd").textContent = value;
  row.hidden = false;
}

function show(id) {
  document.getElementById(id).hidden = false;
}

function step(name, holds) {
  const item = document.querySelector(`#steps [data-step=${name}]`);
  item.className = holds ? "pass" : "fail";
  item.querySelector("b").textContent = item.parentNode.dataset[item.className];
}

function day(iso) {
  const [year, month, date] = iso.split("-").map(Number);
  return chinese ? `${year}年${month}月${date}日` : iso;
}

function time(moment) {
  return new Date(moment).toLocaleString("sv-SE", { timeZone: "Asia/Shanghai" });
}

// Have the next visit without network find these pages, and the list that answers for this one.
async function keep(list) {
  if (!navigator.serviceWorker) return;
  const { active } = await navigator.serviceWorker.ready;
  active.postMessage({ language: chinese ? "" : "?lang=en", list });
}
