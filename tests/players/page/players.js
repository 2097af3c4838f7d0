// Four players with one face: `load`, and where they can, `hear`, `read`, `heights`, `show` and `thumbnail`.
//
// They are left as their makers set them, but for how many seconds they buffer, if `seconds` says so, and where a line
// says why.

const script = path => new Promise((resolve, reject) => {
  const element = Object.assign(document.createElement("script"), { src: `/node_modules/${path}` });
  element.addEventListener("load", resolve);
  element.addEventListener("error", () => reject(new Error(`${path} is not installed`)));
  document.head.append(element);
});

async function hlsJs(video, fault, seconds) {
  await script("hls.js/dist/hls.min.js");
  const player = new Hls(seconds ? { maxBufferLength: seconds, maxMaxBufferLength: seconds } : {});
  player.on(Hls.Events.ERROR, (_, { type, details, fatal }) => fault(`${fatal ? "fatal " : ""}${type} ${details}`));
  return {
    async load(address) {
      player.loadSource(address);
      player.attachMedia(video);
    },
    hear(language) { player.audioTrack = player.audioTracks.findIndex(({ lang }) => lang === language); },
    read(language) { player.subtitleTrack = player.subtitleTracks.findIndex(({ lang }) => lang === language); },
    heights: () => player.levels.map(({ height }) => height),
    show(height) { player.currentLevel = player.levels.findIndex(level => level.height === height); },
  };
}

async function shakaPlayer(video, fault, seconds) {
  await script("shaka-player/dist/shaka-player.compiled.js");
  const player = new shaka.Player();
  if (seconds) player.configure({ streaming: { bufferingGoal: seconds, bufferBehind: seconds } });
  player.addEventListener("error", ({ detail }) => fault(`${detail.code} ${JSON.stringify(detail.data)}`));
  let sprites;
  player.addEventListener("sessiondata", ({ id, value }) => { if (id === "org.avant.thumbnails") sprites = value; });
  const images = async () => {
    if (!sprites) return player.getImageTracks()[0];
    return player.addThumbnailsTrack(new URL(sprites, player.getAssetUri()).href, "text/vtt");
  };
  let track;
  return {
    async load(address) {
      await player.attach(video);
      await player.load(address);
    },
    hear(language) { player.selectAudioTrack(player.getAudioTracks().find(track => track.language === language)); },
    read(language) { player.selectTextTrack(player.getTextTracks().find(track => track.language === language)); },
    heights: () => player.getVideoTracks().map(({ height }) => height),
    show(height) {
      player.configure("abr.enabled", false);
      player.selectVideoTrack(player.getVideoTracks().find(track => track.height === height), true);
    },
    async thumbnail(time) {
      track ??= images();
      const { uris, positionX, positionY, width, height } = await player.getThumbnails((await track).id, time);
      return { url: uris[0], x: positionX, y: positionY, width, height };
    },
  };
}

async function dashJs(video, fault, seconds) {
  await script("dashjs/dist/modern/umd/dash.all.min.js");
  const player = dashjs.MediaPlayer().create();
  // 5.2.1 goes up by loading the segment that is playing again, from its start (docs/decisions/0005). Frames are decoded
  // twice, and what the tests count would not be the stream.
  const buffer = { fastSwitchEnabled: false };
  if (seconds) Object.assign(buffer, { bufferTimeDefault: seconds, bufferTimeAtTopQuality: seconds, bufferToKeep: seconds });
  player.updateSettings({ streaming: { buffer } });
  const { ERROR, PLAYBACK_ERROR } = dashjs.MediaPlayer.events;
  for (const kind of [ERROR, PLAYBACK_ERROR]) player.on(kind, ({ error }) => fault(`${error?.code} ${error?.message ?? error}`));
  return {
    async load(address) { player.initialize(video, address, false); },
    hear(language) { player.setCurrentTrack(player.getTracksFor("audio").find(({ lang }) => lang === language)); },
    read(language) { player.setTextTrack(player.getTracksFor("text").findIndex(({ lang }) => lang === language)); },
    heights: () => player.getRepresentationsByType("video").map(({ height }) => height),
    show(height) {
      player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false } } } });
      const { id } = player.getRepresentationsByType("video").find(rung => rung.height === height);
      player.setRepresentationForTypeById("video", id, true);
    },
    thumbnail: time => new Promise(resolve => player.provideThumbnail(time, resolve)),
  };
}

// What the browser plays of itself. It has no say in languages, rungs or text.
const native = async video => ({
  async load(address) { video.src = address; },
});

export const players = { "hls.js": hlsJs, shaka: shakaPlayer, "dash.js": dashJs, native };
