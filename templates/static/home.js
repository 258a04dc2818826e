// The first page: the camera, a dropped file, a pasted text. Every form works without this; with
// it a code is read on this device, and its statement goes to no server.

const ours = new RegExp(`^https://${location.host.replace(/\./g, "\\.")}/v/([0-9a-hjkmnp-tv-z]{16})(?:#([0-9]*))?$`);
const open = document.getElementById("open");
const camera = document.getElementById("camera");
const video = camera.querySelector("video");
const line = camera.querySelector("[role=status]");
const upload = document.querySelector("#file form");
const input = upload.elements.file;
let stop = () => {};

const english = document.documentElement.lang === "en";

if (navigator.serviceWorker) {
  navigator.serviceWorker.register("/sw.js");
  navigator.serviceWorker.ready.then(({ active }) => active.postMessage({ language: english ? "?lang=en" : "" }));
}

if (navigator.mediaDevices && navigator.mediaDevices.getUserMedia) open.hidden = false;
open.addEventListener("click", async () => {
  open.hidden = true;
  camera.hidden = false;
  line.textContent = camera.dataset.searching;
  document.getElementById("close").focus();
  try {
    const { scan } = await import(open.dataset.script);
    stop = await scan(video, open.dataset.decoder, (text) => {
      const followed = follow(text);
      if (!followed) line.textContent = camera.dataset.foreign;
      return followed;
    });
    if (camera.hidden) stop(); // closed before it was open
  } catch (error) {
    video.hidden = true;
    line.textContent = error.name === "NotAllowedError" ? camera.dataset.refused : camera.dataset.absent;
  }
});
document.getElementById("close").addEventListener("click", () => {
  stop();
  camera.hidden = true;
  open.hidden = false;
  open.focus();
});

document.querySelector("#text form").addEventListener("submit", (event) => {
  if (follow(event.target.elements.text.value.trim())) event.preventDefault();
});

input.addEventListener("change", () => {
  const large = input.files.length > 0 && input.files[0].size > input.dataset.max;
  document.getElementById("large").hidden = !large;
  if (large) input.value = "";
});
upload.addEventListener("submit", async (event) => {
  const [file] = input.files;
  if (!file.type.startsWith("image/")) return;
  event.preventDefault();
  const text = await import(open.dataset.script)
    .then(({ readPicture }) => readPicture(file, open.dataset.decoder))
    .catch(() => null);
  if (!follow(text, "picture")) upload.submit();
});

const drop = document.querySelector(".drop");
for (const kind of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind !== "drop" || !event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change"));
    if (input.value) upload.requestSubmit();
  });
}

// Go to the page of a code of ours, its statement behind the #; anything else is not followed.
function follow(text, ...flags) {
  const [, id, digits] = ours.exec(text) || [];
  if (!id) return false;
  if (english) flags.push("lang=en");
  location.assign(`/v/${id}${flags.length ? `?${flags.join("&")}` : ""}${digits ? `#${digits}` : ""}`);
  return true;
}
