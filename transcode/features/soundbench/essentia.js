// Prints Essentia's tempo (Percival) of a file and its beats (degara), a number a line.
const { execFileSync } = require("node:child_process");
const { Essentia, EssentiaWASM } = require("essentia.js");

const raw = execFileSync("ffmpeg", ["-nostdin", "-v", "error", "-i", process.argv[2], "-f", "f32le", "-ac", "1", "-ar", "44100", "-"], { maxBuffer: 1 << 30 });
const samples = new Float32Array(raw.buffer, raw.byteOffset, raw.length >> 2);
const essentia = new Essentia(EssentiaWASM);
const signal = essentia.arrayToVector(samples);
console.log(essentia.PercivalBpmEstimator(signal).bpm);
for (const t of essentia.vectorToArray(essentia.BeatTrackerDegara(signal).ticks)) console.log(t);
process.exit(0);
