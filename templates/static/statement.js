// The statement behind the # of a certificate's QR code, read and verified with WebCrypto alone,
// as docs/qr-format.md says. Pure: it asks no network and touches no page. Whatever a stranger's
// code holds, the answer is a statement or a Refused with one of the format's reasons.

const SIZE_LIMIT = 2048;
const TEXT = /^(?:https:\/\/([a-z0-9.-]+(?::[0-9]+)?)\/v\/([0-9a-hjkmnp-tv-z]{16})(?:#|$))?([0-9]*)$/;
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const HALF_ORDER = "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8";
const ES256 = -7;
const CERTIFICATE = -65537;
const DAY_FIRST = -719162; // 0001-01-01
const DAY_LAST = 2932896; // 9999-12-31
const SECOND_LAST = 253402300799; // of 9999
const LIST_SIZE_LIMIT = 1 << 20;
const LIST_TYPE = "application/statuslist+cwt";
const LIST = 65533;
const TIME_TO_LIVE = 65534;
const PLACES = 1 << 20;
const SKEW_SECONDS = 300;
const STANDINGS = { 0: "valid", 1: "revoked", 2: "suspended", 12: "replaced", 13: "cancelled" };

export class Refused extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

// Take a scanned text apart into its address, {host, id} or null, and its COSE bytes, perhaps none.
export function fromText(text) {
  const match = TEXT.exec(text.trim());
  if (!match || !match[0]) throw new Refused("malformed_text");
  const [, host, id, digits] = match;
  const address = host ? { host, id } : null;
  if (!digits) return { address, cose: new Uint8Array(0) };
  if (digits[0] === "0") throw new Refused("leading_zero");
  if (digits.length > (SIZE_LIMIT * 5) / 2) throw new Refused("too_long");
  const bytes = toBytes(digits);
  if (bytes[0] !== 1) throw new Refused("malformed_text");
  return { address, cose: bytes.subarray(1) };
}

// Verify a statement with the keys of a JWKS; `address` is the one that carried it, or null.
export async function verify(cose, keys, address) {
  if (cose.length > SIZE_LIMIT) throw new Refused("too_long");
  const { key, payload } = await open(cose, keys, "statement", [[1, ES256]]);
  const statement = asStatement(load(payload));
  if (statement.issued_at < key.nbf || statement.issued_at > key.exp) {
    throw new Refused("outside_key_window");
  }
  if (address && address.host !== statement.issuer) throw new Refused("other_host");
  if (address && address.id !== statement.public_id) throw new Refused("other_id");
  return { ...statement, specimen: Boolean(key.specimen) };
}

// Name the status list that answers for a certificate.
export function listOf(statement) {
  return Math.floor(statement.status_index / PLACES);
}

// Look a statement up in a signed status list as it is at `now` (seconds since 1970): its
// standing, or null where this list cannot tell, and when the list was signed.
export async function standing(signed, keys, statement, now) {
  if (signed.length > LIST_SIZE_LIMIT) throw new Refused("too_long");
  expect(signed[0] === 0xd2); // the tag of COSE_Sign1
  const { key, payload } = await open(signed.subarray(1), keys, "status", [[1, ES256], [16, LIST_TYPE]]);
  const claims = load(payload);
  expect(claims instanceof Map && claims.size === 5);
  const [subject, expiresAt, issuedAt, lifetime, list] = [2, 4, 6, TIME_TO_LIVE, LIST].map((label) => claims.get(label));
  expect([expiresAt, issuedAt, lifetime].every(Number.isSafeInteger) && lifetime > 0 && issuedAt < expiresAt);
  expect(/^https:\/\/[a-z0-9.-]+(:[0-9]+)?\/status\/(0|[1-9][0-9]{0,9})$/.test(subject));
  expect(list instanceof Map && list.size === 2 && list.get("bits") === 4 && list.get("lst") instanceof Uint8Array);
  const places = await inflate(list.get("lst"));
  if (issuedAt < key.nbf || issuedAt > key.exp) throw new Refused("outside_key_window");
  if (issuedAt > now + SKEW_SECONDS) throw new Refused("from_the_future");
  const tells = now < expiresAt && subject === `https://${statement.issuer}/status/${listOf(statement)}`;
  const place = statement.status_index % PLACES;
  const value = (places[place >> 1] >> ((place % 2) * 4)) & 15;
  return { standing: (tells && STANDINGS[value]) || null, issuedAt };
}

// Open a COSE_Sign1 whose protected header is `header` and a key id, signed by a key of `purpose`.
async function open(cose, keys, purpose, header) {
  const envelope = load(cose);
  expect(Array.isArray(envelope) && envelope.length === 4);
  const [shielded, unprotected, payload, signature] = envelope;
  expect([shielded, payload, signature].every((part) => part instanceof Uint8Array));
  const claimed = load(shielded);
  expect(claimed instanceof Map && claimed.has(1) && claimed.has(4));
  if (claimed.get(1) !== ES256) throw new Refused("wrong_algorithm");
  const kid = claimed.get(4) instanceof Uint8Array ? hex(claimed.get(4)) : null;
  const key = keys.find((one) => one.kid === kid && one.purpose === purpose);
  if (!key) throw new Refused("unknown_key");
  expect(claimed.size === header.length + 1 && header.every(([label, value]) => claimed.get(label) === value));
  expect(signature.length === 64 && unprotected instanceof Map && unprotected.size === 0);
  if (hex(signature.subarray(32)) > HALF_ORDER) throw new Refused("not_canonical");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const jwk = { kty: "EC", crv: "P-256", x: key.x, y: key.y };
  const signed = join([0x84, 0x6a], new TextEncoder().encode("Signature1"), string(shielded), [0x40], string(payload));
  const genuine = await crypto.subtle
    .importKey("jwk", jwk, algorithm, false, ["verify"])
    .then((imported) => crypto.subtle.verify(algorithm, imported, signature, signed));
  if (!genuine) throw new Refused("bad_signature");
  return { key, payload };
}

function asStatement(claims) {
  expect(claims instanceof Map && claims.size === 4);
  const facts = claims.get(CERTIFICATE);
  expect(facts instanceof Map && facts.size === 7);
  const [name, project, examOn, version, id, index, digest] = [1, 2, 3, 4, 5, 6, 7].map((label) => facts.get(label));
  const [issuer, issuedAt, packed] = [1, 6, 7].map((label) => claims.get(label));
  expect([issuer, name, project].every((text) => typeof text === "string"));
  expect([issuedAt, examOn, version, index].every(Number.isSafeInteger));
  expect([packed, id, digest].every((part) => part instanceof Uint8Array));
  expect(id.length === 10 && digest.length === 16 && version >= 1 && version <= 999 && index >= 0);
  expect(Math.abs(issuedAt) <= SECOND_LAST && examOn >= DAY_FIRST && examOn <= DAY_LAST);
  const number = hex(packed).replace(/f$/, "");
  expect(/^[0-9]+$/.test(number));
  return {
    issuer, issued_at: issuedAt, number, name, project, exam_on: day(examOn), version,
    public_id: crockford(id), status_index: index, record_digest: hex(digest),
  };
}

// Decode CBOR that has no other spelling: shortest heads, keys ascending, nothing behind it.
function load(bytes) {
  let at = 0;
  let canonical = true;
  function head() {
    expect(at < bytes.length);
    const initial = bytes[at++];
    const major = initial >> 5;
    const short = initial & 31;
    if (short < 24) return [major, short];
    if (short === 31 && major > 1 && major < 6) throw new Refused("not_canonical");
    expect(short < 28);
    const size = 1 << (short - 24);
    expect(at + size <= bytes.length);
    let value = 0;
    for (let end = at + size; at < end; at++) value = value * 256 + bytes[at];
    expect(Number.isSafeInteger(value) && major < 7);
    const least = [24, 256, 65536, 4294967296][short - 24];
    if (value < least) canonical = false;
    return [major, value];
  }
  function item(depth) {
    const [major, value] = head();
    if (major === 0) return value;
    if (major === 1) return -1 - value;
    if (major === 2 || major === 3) {
      expect(at + value <= bytes.length);
      const part = bytes.subarray(at, (at += value));
      return major === 2 ? part : text(part);
    }
    if (major === 7) {
      expect(value >= 20 && value <= 22);
      return [false, true, null][value - 20];
    }
    expect(depth < 2 && (major === 4 || major === 5) && value <= bytes.length);
    if (major === 4) return Array.from({ length: value }, () => item(depth + 1));
    return map(value, depth + 1);
  }
  function map(size, depth) {
    const entries = new Map();
    let before = "";
    for (let count = 0; count < size; count++) {
      const start = at;
      const key = item(depth);
      const spelt = hex(bytes.subarray(start, at));
      if (spelt <= before) canonical = false;
      before = spelt;
      entries.set(key, item(depth));
    }
    return entries;
  }
  const value = item(0);
  if (!canonical || at !== bytes.length) throw new Refused("not_canonical");
  return value;
}

// Inflate a list of exactly its length: no bomb, no stump, nothing after the end.
async function inflate(deflated) {
  const reader = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  const places = new Uint8Array(PLACES / 2);
  let at = 0;
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (at + part.value.length > places.length) throw new Refused("malformed");
      places.set(part.value, at);
      at += part.value.length;
    }
  } catch (error) {
    throw new Refused("malformed");
  }
  expect(at === places.length && hex(deflated.subarray(-4)) === adler(places));
  return places;
}

// The check sum of RFC 1950 ends what was deflated: not every engine minds what follows it.
function adler(bytes) {
  let [low, high] = [1, 0];
  for (const byte of bytes) {
    low = (low + byte) % 65521;
    high = (high + low) % 65521;
  }
  return hex([high >> 8, high & 255, low >> 8, low & 255]);
}

function expect(holds) {
  if (!holds) throw new Refused("malformed");
}

function text(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new Refused("malformed");
  }
}

// Seven digits at a time, so that no number grows beyond what is exact.
function toBytes(digits) {
  const bytes = [];
  const first = digits.length % 7 || 7;
  for (let end = first; end <= digits.length; end += 7) {
    let carry = Number(digits.slice(Math.max(0, end - 7), end));
    for (let place = 0; place < bytes.length || carry; place++) {
      carry += (bytes[place] || 0) * 1e7;
      bytes[place] = carry % 256;
      carry = Math.floor(carry / 256);
    }
  }
  return Uint8Array.from(bytes.reverse());
}

function string(bytes) {
  const size = bytes.length;
  if (size < 24) return join([0x40 | size], bytes);
  if (size < 256) return join([0x58, size], bytes);
  if (size < 65536) return join([0x59, size >> 8, size & 255], bytes);
  return join([0x5a, 0, size >> 16, (size >> 8) & 255, size & 255], bytes);
}

function join(...parts) {
  const joined = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function day(number) {
  return new Date(number * 864e5).toISOString().slice(0, 10);
}

function crockford(bytes) {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits.replace(/.{5}/g, (five) => ALPHABET[parseInt(five, 2)]);
}
