// Keeps the pages, the keys and the status lists for a device without network. The network is asked
// first; what is kept is only the fallback. No answer about a certificate is ever kept: the shell
// of a result page verifies by itself, and lets no list decide that is past its time.

const KEPT = "qianfa-1";
const KEYS = "/.well-known/jwks.json";
const PART = /^\/(static\/|status\/[0-9]+$|\.well-known\/jwks\.json$)/;
const FRESH_MS = 3600e3;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("message", (event) => event.waitUntil(refresh(event.data)));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (request.mode === "navigate") event.respondWith(page(request));
  else if (PART.test(pathname)) event.respondWith(part(request));
});

async function page(request) {
  try {
    return await fetch(request);
  } catch (error) {
    const { pathname, searchParams } = new URL(request.url);
    const [shell] = /^\/(v\/|$)/.exec(pathname) || [];
    const language = searchParams.get("lang") === "en" ? "?lang=en" : "";
    const kept = shell && ((await caches.match(shell + language)) || (await caches.match(shell, { ignoreSearch: true })));
    if (kept) return kept;
    throw error;
  }
}

async function part(request) {
  const cache = await caches.open(KEPT);
  const kept = await cache.match(request.url);
  if (kept && new URL(request.url).searchParams.has("v")) return kept;
  try {
    const answer = await fetch(request);
    if (answer.ok) await cache.put(request.url, answer.clone());
    return answer.status < 500 || !kept ? answer : kept;
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}

// Keep the shells of a language, what they load, the keys and perhaps a list, unless they were kept
// within the hour.
async function refresh({ language, list }) {
  const cache = await caches.open(KEPT);
  const pages = await Promise.all(["/", "/v/"].map((shell) => renew(cache, shell + language)));
  const texts = await Promise.all(pages.filter(Boolean).map((answer) => answer.text()));
  const parts = new Set(texts.join().match(/\/static\/(?!vendor\/)[^"]+/g));
  if (list !== undefined) parts.add(`/status/${list}`);
  await Promise.all([...parts, KEYS].map((address) => renew(cache, address)));
}

async function renew(cache, address) {
  const kept = await cache.match(address);
  if (kept && Date.now() - Date.parse(kept.headers.get("date")) < FRESH_MS) return kept;
  try {
    const answer = await fetch(address, { cache: "no-cache" });
    if (!answer.ok) return kept;
    await cache.put(address, answer.clone());
    return answer;
  } catch (error) {
    return kept;
  }
}
