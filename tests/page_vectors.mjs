// Hold the script of the result page against every test vector: node page_vectors.mjs SCRIPT FOLDER

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { argv, exit } from "node:process";
import { webcrypto } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { pathToFileURL } from "node:url";

globalThis.crypto ??= webcrypto;
const { Refused, fromText, standing, verify } = await import(pathToFileURL(argv[2]));
const read = (name) => JSON.parse(readFileSync(join(argv[3], name), "utf-8"));

async function said(of) {
  try {
    return { ok: true, ...(await of()) };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { ok: false, reason: error.reason };
  }
}

let wrong = 0;
async function compare(vector, of) {
  const answer = await said(of);
  if (isDeepStrictEqual(answer, vector.expect)) return;
  wrong += 1;
  console.log(vector.name, answer, vector.expect);
}

for (const vector of read("statements.json")) {
  await compare(vector, async () => {
    const { address, cose } = fromText(vector.text);
    const { specimen, ...statement } = await verify(cose, vector.keys.keys, address);
    return { statement };
  });
}
for (const vector of read("status_lists.json")) {
  await compare(vector, async () => {
    const signed = Uint8Array.from(vector.list.match(/../g) ?? [], (pair) => parseInt(pair, 16));
    const asked = { issuer: vector.issuer, status_index: vector.index };
    return { standing: (await standing(signed, vector.keys.keys, asked, vector.now)).standing };
  });
}
exit(wrong ? 1 : 0);
