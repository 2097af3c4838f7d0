// Playlists in, as a JSON object of texts by name; what hls-parser says of each, out: "" where no rule is broken.
import { text } from "node:stream/consumers";
import HLS from "hls-parser";

HLS.setOptions({ strictMode: true });

function fault(playlist) {
  try {
    HLS.parse(playlist);
    return "";
  } catch (error) {
    return error.message;
  }
}

const playlists = JSON.parse(await text(process.stdin));
const faults = Object.entries(playlists).map(([name, playlist]) => [name, fault(playlist)]);
process.stdout.write(JSON.stringify(Object.fromEntries(faults)));
