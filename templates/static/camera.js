// Reads QR codes from a camera and from pictures, on this device: with the browser's own detector,
// else with the vendored decoder. Loaded only when it is asked for.

const PAUSE_MS = 120;
const SIDES = [1000, 1600, 2400];
const SCALE_MAX = 2; // the decoder wants three pixels a module; a scan at 150 dpi has two

// Show the camera and hand every text that is read to `found`, until it says true. Returns what
// stops the camera.
export async function scan(video, decoder, found) {
  const wanted = { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
  let open = true;
  const stop = () => {
    open = false;
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
  video.srcObject = stream;
  video.hidden = false;
  await video.play();
  const read = await reader(decoder);
  const look = async () => {
    if (!open) return;
    const { videoWidth, videoHeight } = video;
    const text = await read(video, videoWidth, videoHeight, [Math.max(videoWidth, videoHeight)]).catch(() => null);
    if (text && open && found(text)) stop();
    else setTimeout(look, PAUSE_MS);
  };
  look();
  return stop;
}

// Read the QR code of a picture; null where there is none to be found.
export async function readPicture(file, decoder) {
  const picture = await createImageBitmap(file);
  const read = await reader(decoder);
  return read(picture, picture.width, picture.height, SIDES);
}

async function reader(decoder) {
  if ("BarcodeDetector" in window && (await BarcodeDetector.getSupportedFormats()).includes("qr_code")) {
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    return async (source) => ((await detector.detect(source))[0] || { rawValue: null }).rawValue;
  }
  await import(decoder);
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  return async (source, width, height, sides) => {
    for (const side of sides) {
      const scale = Math.min(SCALE_MAX, side / Math.max(width, height));
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      context.drawImage(source, 0, 0, canvas.width, canvas.height);
      const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
      const code = self.jsQR(pixels.data, pixels.width, pixels.height, { inversionAttempts: "dontInvert" });
      if (code) return code.data;
    }
    return null;
  };
}
