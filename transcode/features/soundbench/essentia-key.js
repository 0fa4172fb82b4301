// Prints Essentia's key of a file (KeyExtractor with its defaults), such as "Ab minor".
const { execFileSync } = require("node:child_process");
const { Essentia, EssentiaWASM } = require("essentia.js");

const raw = execFileSync("ffmpeg", ["-nostdin", "-v", "error", "-i", process.argv[2], "-f", "f32le", "-ac", "1", "-ar", "44100", "-"], { maxBuffer: 1 << 30 });
const samples = new Float32Array(raw.buffer, raw.byteOffset, raw.length >> 2);
const essentia = new Essentia(EssentiaWASM);
const key = essentia.KeyExtractor(essentia.arrayToVector(samples));
console.log(key.key, key.scale);
process.exit(0);
