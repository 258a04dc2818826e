// A second reader of docs/qr-format.md, on its own: WebCrypto, and CBOR read here.
//
//     node verify.mjs statements.json status_lists.json
//
// prints what it makes of every vector, as JSON in the order given.

import { readFileSync } from "node:fs";
import { webcrypto } from "node:crypto";

const { subtle } = webcrypto;
const HALF_ORDER = BigInt("0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8");
const CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz";
const CERTIFICATE = -65537n, STATUS_LIST = 65533n, TTL = 65534n;
const PLACES_LENGTH = 1 << 19, LIST_LIMIT = 1 << 20, STATEMENT_LIMIT = 2048;
const STANDINGS = { 0: "valid", 1: "revoked", 2: "suspended", 12: "replaced", 13: "cancelled" };
const TYPE = "application/statuslist+cwt";

class Refused extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}
const refuse = (reason) => {
  throw new Refused(reason);
};
const require = (holds, reason = "malformed") => {
  if (!holds) refuse(reason);
};
const isInteger = (value) => typeof value === "bigint";
const isText = (value) => typeof value === "string";
const isBytes = (value) => value instanceof Uint8Array;
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const order = (left, right) => {
  const place = left.findIndex((byte, at) => byte !== right[at]);
  return place < 0 ? left.length - right.length : left[place] - (right[place] ?? -1);
};

// CBOR: integers are BigInt, maps are Map. What is well-formed but spelt otherwise than RFC 8949
// section 4.2.1 is noted, and refused once all of it is read.
class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
    this.canonical = true;
  }

  static read(bytes) {
    const reader = new Reader(bytes);
    const value = reader.item(0);
    require(reader.canonical && reader.at === bytes.length, "not_canonical");
    return value;
  }

  take(length) {
    require(length <= this.bytes.length - this.at);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  // The head of an item: its major type, and its argument or null where the length is open.
  head() {
    const [first] = this.take(1);
    const major = first >> 5, short = first & 31;
    if (short < 24) return [major, BigInt(short)];
    if (short === 31) {
      require(major >= 2 && major <= 5);
      this.canonical = false;
      return [major, null];
    }
    require(short < 28);
    const argument = BigInt("0x" + hex(this.take(1 << (short - 24))));
    const least = [24n, 256n, 65536n, 4294967296n][short - 24];
    if (argument < least) this.canonical = false;
    return [major, argument];
  }

  item(depth) {
    const start = this.at;
    const [major, argument] = this.head();
    if (major === 0) return argument;
    if (major === 1) return -1n - argument;
    if (major === 2) return this.string(major, argument);
    if (major === 3) return decodeText(this.string(major, argument));
    if (major === 4) return this.array(argument, depth + 1);
    if (major === 5) return this.map(argument, depth + 1);
    if (major === 7 && start + 1 === this.at) return { simple: Number(argument) };
    return refuse("malformed"); // tags, and numbers with a point
  }

  string(major, length) {
    if (length !== null) return this.take(Number(length));
    const pieces = [];
    while (!this.ends()) {
      const [kind, piece] = this.head();
      require(kind === major && piece !== null);
      pieces.push(...this.take(Number(piece)));
    }
    return Uint8Array.from(pieces);
  }

  array(count, depth) {
    require(depth <= 2);
    const items = [];
    while (count === null ? !this.ends() : items.length < count) items.push(this.item(depth));
    return items;
  }

  map(count, depth) {
    require(depth <= 2);
    const found = new Map();
    let before = null;
    for (let done = 0; count === null ? !this.ends() : done < count; done++) {
      const start = this.at;
      const key = this.item(depth);
      const spelt = this.bytes.subarray(start, this.at);
      if (before && order(before, spelt) >= 0) this.canonical = false;
      before = spelt;
      found.set(key, this.item(depth));
    }
    return found;
  }

  ends() {
    require(this.at < this.bytes.length);
    if (this.bytes[this.at] !== 0xff) return false;
    this.at += 1;
    return true;
  }
}

const decodeText = (bytes) => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse("malformed");
  }
};

// Only what the signature needs is ever written: heads, texts and byte strings.
const headOf = (major, length) => {
  if (length < 24) return [(major << 5) | length];
  if (length < 256) return [(major << 5) | 24, length];
  if (length < 65536) return [(major << 5) | 25, length >> 8, length & 255];
  return [(major << 5) | 26, length >>> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255];
};
const join = (...parts) => {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
};
const byteString = (bytes) => join(headOf(2, bytes.length), bytes);
const structure = (header, payload) => {
  const context = new TextEncoder().encode("Signature1");
  return join([0x84], headOf(3, context.length), context, byteString(header), [0x40], byteString(payload));
};

const hasLabels = (map, labels) =>
  map instanceof Map && map.size === labels.length && labels.every((label) => map.has(label));

async function open(cose, keys, type) {
  const parts = Reader.read(cose);
  require(Array.isArray(parts) && parts.length === 4);
  const [header, unprotected, payload, signature] = parts;
  require(isBytes(header));
  const said = Reader.read(header);
  require(said instanceof Map && said.has(1n));
  require(said.get(1n) === -7n, "wrong_algorithm");
  require(said.has(4n));
  const kid = said.get(4n);
  const jwk = keys.find((key) => isBytes(kid) && key.kid === hex(kid));
  require(jwk, "unknown_key");
  require(hasLabels(said, type ? [1n, 4n, 16n] : [1n, 4n]) && said.get(16n) === type);
  require(unprotected instanceof Map && unprotected.size === 0);
  require(isBytes(payload) && isBytes(signature) && signature.length === 64);
  require(BigInt("0x" + hex(signature.subarray(32))) <= HALF_ORDER, "not_canonical");
  const { kty, crv, x, y } = jwk;
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const key = await subtle.importKey("jwk", { kty, crv, x, y }, algorithm, false, ["verify"]);
  const holds = await subtle.verify(algorithm, key, signature, structure(header, payload));
  require(holds, "bad_signature");
  return [Reader.read(payload), jwk];
}

const requireWindow = (jwk, time) => require(jwk.nbf <= time && time <= jwk.exp, "outside_key_window");

const TEXT =
  /^(?:https:\/\/([a-z0-9.-]+(?::[0-9]+)?)\/v\/([0-9a-hjkmnp-tv-z]{16})(?:#|$))?([0-9]*)$/;

function takeApart(text) {
  const matched = TEXT.exec(text.trim());
  require(matched && matched[0] !== "", "malformed_text");
  const [, host, id, digits] = matched;
  require(digits !== "", "malformed_text");
  require(!digits.startsWith("0"), "leading_zero");
  require(digits.length <= 5120, "too_long");
  const value = BigInt(digits).toString(16);
  const bytes = Uint8Array.from((value.length % 2 ? "0" + value : value).match(/../g), (pair) =>
    parseInt(pair, 16),
  );
  require(bytes[0] === 1, "malformed_text");
  return [host, id, bytes.subarray(1)];
}

function base32(bytes) {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits.match(/.{5}/g).map((five) => CROCKFORD[parseInt(five, 2)]).join("");
}

function dateOf(days) {
  require(isInteger(days) && -719162n <= days && days <= 2932896n);
  return new Date(Number(days) * 86_400_000).toISOString().slice(0, 10);
}

function timeOf(seconds) {
  require(isInteger(seconds) && -62135596800n <= seconds && seconds <= 253402300799n);
  return Number(seconds);
}

function statementOf(claims) {
  require(hasLabels(claims, [1n, 6n, 7n, CERTIFICATE]));
  const facts = claims.get(CERTIFICATE);
  require(hasLabels(facts, [1n, 2n, 3n, 4n, 5n, 6n, 7n]));
  const [name, project, days, version, id, index, digest] = [1n, 2n, 3n, 4n, 5n, 6n, 7n].map(
    (label) => facts.get(label),
  );
  const issuer = claims.get(1n), number = claims.get(7n);
  require(isText(issuer) && isText(name) && isText(project) && isBytes(number));
  const packed = hex(number).replace(/f$/, "");
  require(/^[0-9]+$/.test(packed));
  require(isInteger(version) && 1n <= version && version <= 999n);
  require(isInteger(index) && 0n <= index && index < 1n << 53n);
  require(isBytes(id) && id.length === 10 && isBytes(digest) && digest.length === 16);
  return {
    issuer,
    issued_at: timeOf(claims.get(6n)),
    number: packed,
    name,
    project,
    exam_on: dateOf(days),
    version: Number(version),
    public_id: base32(id),
    status_index: Number(index),
    record_digest: hex(digest),
  };
}

async function readStatement({ text, keys }) {
  const [host, id, cose] = takeApart(text);
  require(cose.length <= STATEMENT_LIMIT, "too_long");
  const usable = keys.keys.filter((key) => key.purpose === "statement");
  const [claims, jwk] = await open(cose, usable);
  const statement = statementOf(claims);
  requireWindow(jwk, statement.issued_at);
  require(host === undefined || host === statement.issuer, "other_host");
  require(id === undefined || id === statement.public_id, "other_id");
  return { ok: true, statement };
}

const SUBJECT = /^https:\/\/([a-z0-9.-]+(?::[0-9]+)?)\/status\/(0|[1-9][0-9]{0,9})$/;

function adler32(bytes) {
  let low = 1, high = 0;
  for (const byte of bytes) {
    low = (low + byte) % 65521;
    high = (high + low) % 65521;
  }
  return ((BigInt(high) << 16n) | BigInt(low)).toString(16).padStart(8, "0");
}

async function inflate(deflated) {
  const stream = new DecompressionStream("deflate");
  const writer = stream.writable.getWriter();
  const written = writer.write(deflated).then(() => writer.close());
  written.catch(() => {}); // told by the reading side
  const places = new Uint8Array(PLACES_LENGTH);
  let length = 0;
  try {
    for await (const chunk of stream.readable) {
      require(length + chunk.length <= PLACES_LENGTH);
      places.set(chunk, length);
      length += chunk.length;
    }
    await written;
  } catch {
    refuse("malformed");
  }
  require(length === PLACES_LENGTH);
  require(deflated.length > 4 && hex(deflated.subarray(-4)) === adler32(places)); // nothing after it
  return places;
}

async function readList({ list, keys, now, issuer, index }) {
  const signed = Uint8Array.from(list.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  require(signed.length <= LIST_LIMIT, "too_long");
  require(signed[0] === 0xd2);
  const usable = keys.keys.filter((key) => key.purpose === "status");
  const [claims, jwk] = await open(signed.subarray(1), usable, TYPE);
  require(hasLabels(claims, [2n, 4n, 6n, TTL, STATUS_LIST]));
  const packed = claims.get(STATUS_LIST), ttl = claims.get(TTL);
  require(hasLabels(packed, ["bits", "lst"]) && packed.get("bits") === 4n);
  require(isBytes(packed.get("lst")) && isInteger(ttl) && ttl > 0n && isText(claims.get(2n)));
  const subject = SUBJECT.exec(claims.get(2n));
  const ends = timeOf(claims.get(4n)), begins = timeOf(claims.get(6n));
  require(subject && begins < ends);
  const places = await inflate(packed.get("lst"));
  requireWindow(jwk, begins);
  require(begins <= now + 300, "from_the_future");
  const [, host, number] = subject;
  const place = index % (1 << 20);
  const here = host === issuer && Number(number) === Math.floor(index / (1 << 20)) && now < ends;
  const value = (places[place >> 1] >> (4 * (place & 1))) & 15;
  return { ok: true, standing: (here && STANDINGS[value]) || null };
}

const answers = [];
for (const path of process.argv.slice(2)) {
  for (const vector of JSON.parse(readFileSync(path, "utf-8"))) {
    try {
      answers.push(await ("text" in vector ? readStatement(vector) : readList(vector)));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      answers.push({ ok: false, reason: error.reason });
    }
  }
}
process.stdout.write(JSON.stringify(answers));
