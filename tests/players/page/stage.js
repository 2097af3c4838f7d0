// What a test does with a player, whichever it is: load, play, listen, look; and remember what went wrong.

import { players } from "./players.js";

const CELLS = 20; // of the row that holds the frame number: scripts/synthesise.py
const video = document.querySelector("video");
const buffers = {};
const told = { errors: [], waits: [], gaps: [] };
const watched = [];
let player, pitch, source;

const fault = text => told.errors.push(`at ${video.currentTime.toFixed(3)} s: ${text}`);
const event = (target, name) => new Promise(resolve => target.addEventListener(name, resolve, { once: true }));
const after = seconds => new Promise(resolve => setTimeout(resolve, 1000 * seconds));
const painted = () => new Promise(requestAnimationFrame);
const ranges = buffered => Array.from({ length: buffered.length }, (_, n) => [buffered.start(n), buffered.end(n)]);

// Players keep their source buffers to themselves; what is in them says which of sound and picture came late.
const addSourceBuffer = MediaSource.prototype.addSourceBuffer;
MediaSource.prototype.addSourceBuffer = function (type) {
  source = this;
  return buffers[type.split("/")[0]] = addSourceBuffer.call(this, type);
};

video.addEventListener("error", () => fault(video.error.message));
video.addEventListener("playing", () => video.addEventListener("waiting", waits), { once: true });
video.addEventListener("timeupdate", () => {
  if (video.buffered.length > 1) told.gaps.push(ranges(video.buffered));
});
addEventListener("error", ({ message }) => fault(message));
addEventListener("unhandledrejection", ({ reason }) => fault(`${reason?.stack ?? reason}`));

function waits() {
  const now = video.currentTime;
  const range = ranges(video.buffered).find(([start, end]) => start <= now && now <= end);
  told.waits.push({ at: now, ahead: range ? range[1] - now : 0 });
}

async function load(name, address, seconds) {
  player = await players[name](video, fault, seconds);
  const ready = event(video, "canplay");
  await player.load(address);
  await ready;
}

// To the end, or until the picture has stood still for so many seconds: a busy machine is slow, and no fault.
async function play(patience) {
  await video.play();
  let [stood, since] = [-1, 0];
  const moved = () => video.currentTime !== stood;
  while (!video.ended && (moved() || performance.now() < since + 1000 * patience)) {
    if (moved()) [stood, since] = [video.currentTime, performance.now()];
    await after(0.1);
  }
}

const report = () => ({
  ...told,
  ended: video.ended,
  source: source?.readyState ?? null,
  duration: video.duration,
  frames: video.getVideoPlaybackQuality().totalVideoFrames,
  buffered: ranges(video.buffered),
  buffers: Object.fromEntries(Object.entries(buffers).map(([kind, buffer]) => [kind, ranges(buffer.buffered)])),
});

// All of it is there, and the browser knows that nothing follows.
const buffered = () => source.readyState === "ended";

// The number in the row of cells along the top of a picture; null where none can be read.
function number(picture = video, { x, y, width, height } = { x: 0, y: 0, width: video.videoWidth, height: video.videoHeight }) {
  const row = Math.floor(height / 20); // the middle of a tenth
  const context = new OffscreenCanvas(width, 1).getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, x, y + row, width, 1, 0, 0, width, 1);
  const line = context.getImageData(0, 0, width, 1).data;
  const lit = Array.from({ length: CELLS }, (_, cell) => Number(line[4 * Math.floor((cell + 0.5) * width / CELLS) + 1] > 127));
  const bits = lit.slice(2, -2);
  const whole = lit[0] && !lit[1] && lit.at(-1) && lit.slice(2).reduce((sum, bit) => sum + bit) % 2 === 1;
  return whole ? parseInt(bits.join(""), 2) : null;
}

// What stands after a seek to the middle of frame `wanted`. A player that is paused may be left with the nearest frame
// that it had when its data came late (seen twice in 5,000 seeks, Chromium 156). Asked again it has the right one; a
// stream that is wrong stays wrong.
async function seek(wanted, rate) {
  for (let tries = 0; tries < 3; tries++) {
    const sought = event(video, "seeked");
    video.currentTime = (wanted + 0.5) / rate;
    await Promise.race([sought, after(3)]);
    const until = performance.now() + 2000;
    while (number() !== wanted && performance.now() < until) await painted();
    if (number() === wanted) break;
  }
  return { number: number(), time: video.currentTime, ready: video.readyState };
}

// Notes of the frames that are painted: height, time as the player has it in seconds, and number. What is announced may
// be over by the time it is looked at; a `VideoFrame` is one picture with its own time.
function watch() {
  video.requestVideoFrameCallback(() => {
    const frame = new VideoFrame(video);
    const [width, height] = [frame.displayWidth, frame.displayHeight];
    watched.push({ height, time: frame.timestamp / 1e6, number: number(frame, { x: 0, y: 0, width, height }) });
    frame.close();
    watch();
  });
}

// From here on `tone()` knows which of `tones` (name: hertz) is heard: it is ten times as loud as any other.
async function listen(tones) {
  const context = new AudioContext();
  // 8,192 samples tell tones apart that are 6 Hz from each other, and look 0.17 s back.
  const ear = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
  context.createMediaElementSource(video).connect(ear).connect(context.destination);
  await context.resume();
  const levels = new Float32Array(ear.frequencyBinCount);
  const level = hertz => {
    const bin = Math.round(hertz * ear.fftSize / context.sampleRate);
    return Math.max(...levels.subarray(bin - 1, bin + 2));
  };
  pitch = () => {
    ear.getFloatFrequencyData(levels);
    const [[name, first], [, second]] = Object.entries(tones).map(([name, hertz]) => [name, level(hertz)]).sort((a, b) => b[1] - a[1]);
    return first > -60 && first - second > 20 ? name : null; // decibels
  };
}

const cues = language => [...video.textTracks]
  .filter(track => track.language === language)
  .flatMap(track => [...track.cues ?? []])
  .map(({ startTime, endTime, text }) => [startTime, endTime, text]);

// The number in the thumbnail that the player would show for a time.
async function thumbnail(seconds) {
  const { url, ...where } = await player.thumbnail(seconds);
  const picture = Object.assign(new Image(), { crossOrigin: "anonymous", src: url });
  await picture.decode();
  return number(picture, where);
}

async function until(holds) {
  while (!holds()) await after(0.02);
}

// What is asked, or an error that says why there is no answer.
const within = (seconds, answer) => Promise.race([
  answer,
  after(seconds).then(() => { throw new Error(`no answer in ${seconds} s; ${told.errors.join("; ") || "no error"}`); }),
]);

window.stage = {
  within, until,
  load, play, report, buffered, number, seek, watch, watched, listen, cues, thumbnail, video,
  tone: () => pitch(),
  get player() { return player; },
};
