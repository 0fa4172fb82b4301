// Reads packages with readers that are not ours: node check.mjs <directory>…
// A directory has the package's files and, in virtual/, the edge's playlists.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import ISOBoxer from 'codem-isoboxer';
import HLS from 'hls-parser';
import { Parser } from 'm3u8-parser';
import { createFile } from 'mp4box';
import { parse as parseMPD } from 'mpd-parser';

let dir;
let manifest;
let seconds;
HLS.setOptions({ strictMode: true });

function near(got, want, tolerance, what) {
  assert.ok(Math.abs(got - want) <= tolerance, `${what}: ${got} instead of ${want}`);
}

function checkPlaylist(file) {
  const text = readFileSync(file, 'utf8');
  const strict = HLS.parse(text);
  const lenient = new Parser();
  lenient.push(text);
  lenient.end();
  if (strict.isMasterPlaylist) {
    assert.ok(strict.independentSegments, file);
    assert.equal(strict.variants.length, lenient.manifest.playlists.length, file);
    for (const v of strict.variants) {
      const r = manifest.renditions.find((it) => v.uri.includes(it.name));
      assert.equal(v.bandwidth, r.bandwidth, file);
      assert.equal(v.averageBandwidth, r.average_bandwidth, file);
      assert.equal(v.codecs, r.codecs, file);
    }
    assert.equal(text.includes('EXT-X-CONTENT-STEERING'), lenient.manifest.contentSteering !== undefined, file);
    return;
  }
  assert.equal(strict.playlistType, 'VOD', file);
  assert.ok(strict.endlist, file);
  assert.equal(strict.segments.length, manifest.segments.length, file);
  assert.equal(lenient.manifest.segments.length, manifest.segments.length, file);
  near(strict.segments.reduce((sum, s) => sum + s.duration, 0), seconds, 1e-5 * manifest.segments.length, file);
  assert.ok(strict.segments.every((s) => s.map), `${file}: segments without EXT-X-MAP`);
  const breaks = text.match(/^#EXT-X-DATERANGE:/gm)?.length ?? 0;
  assert.equal(lenient.manifest.dateRanges?.length ?? 0, breaks, file);
  assert.equal(strict.segments[0].programDateTime?.getTime(), breaks > 0 ? 0 : undefined, file);
}

function checkMPD(file, lossless) {
  const parsed = parseMPD(readFileSync(file, 'utf8'), { manifestUri: `https://example.test/${file}` });
  near(parsed.duration, seconds, 1e-3, file);
  // The parser files audio-only presentations under playlists or audio groups.
  const groups = Object.values(parsed.mediaGroups.AUDIO.audio ?? {}).flatMap((g) => g.playlists);
  const found = new Set([...parsed.playlists, ...groups].map((p) => p.attributes.NAME));
  const want = manifest.renditions.filter((r) => lossless || r.codec === 'aac').map((r) => r.name);
  assert.deepEqual([...found].sort(), want.sort(), file);
}

function checkTrack(r) {
  const bytes = readFileSync(path.join(dir, r.file));
  const buffer = new Uint8Array(bytes).buffer;
  buffer.fileStart = 0;
  const file = createFile();
  let info;
  let count = 0;
  let end = 0;
  file.onError = (module, message) => assert.fail(`${r.file}: ${module} ${message}`);
  file.onReady = (it) => {
    info = it;
    file.setExtractionOptions(it.tracks[0].id, null, { nbSamples: 1 });
    file.start();
  };
  file.onSamples = (_id, _user, samples) => {
    for (const s of samples) {
      assert.equal(s.dts, end, `${r.file}: packet ${count}`);
      assert.ok(s.is_sync, `${r.file}: packet ${count} is no sync sample`);
      end = s.dts + s.duration;
      count += 1;
    }
  };
  file.appendBuffer(buffer, true);
  file.flush();
  assert.ok(info, `${r.file}: no moov`);
  assert.ok(info.isFragmented, r.file);
  assert.ok(info.mime.startsWith(`audio/mp4; codecs="${r.codecs}"`), `${r.file}: ${info.mime}`);
  assert.equal(info.tracks.length, 1, r.file);
  const track = info.tracks[0];
  assert.equal(track.codec, r.codecs, r.file);
  assert.equal(track.timescale, r.sample_rate, r.file);
  assert.equal(track.audio.channel_count, r.channels, r.file);
  assert.equal(track.edits?.[0]?.media_time ?? 0, r.encoder_delay, r.file);
  assert.equal(end, r.encoder_delay + r.samples, `${r.file}: last packet ends`);
  assert.ok(count > 0, r.file);
}

// checkBoxes reads a track file with the reader that dash.js has.
function checkBoxes(r) {
  const bytes = readFileSync(path.join(dir, r.file));
  const file = ISOBoxer.parseBuffer(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  assert.ok(!file._incomplete, `${r.file}: incomplete`);
  const head = ['ftyp', 'moov', 'sidx'];
  const rest = r.sizes.flatMap(() => ['styp', 'moof', 'mdat']);
  assert.deepEqual(file.boxes.map((b) => b.type), [...head, ...rest], r.file);
  const [index] = file.fetchAll('sidx');
  assert.deepEqual(index.references.map((x) => x.referenced_size), r.sizes, `${r.file}: sidx`);
  assert.deepEqual(index.references.map((x) => x.subsegment_duration), r.durations, `${r.file}: sidx`);
  assert.equal(file.fetch('mdhd').timescale, r.sample_rate, r.file);
  assert.equal(file.fetch('hdlr').handler_type, 'soun', r.file);
  const headers = file.fetchAll('tfhd');
  const times = file.fetchAll('tfdt');
  const runs = file.fetchAll('trun');
  let end = 0;
  r.sizes.forEach((_, i) => {
    assert.equal(times[i].baseMediaDecodeTime, end, `${r.file}: tfdt of segment ${i}`);
    for (const s of runs[i].samples) end += s.sample_duration ?? headers[i].default_sample_duration;
  });
  assert.equal(end, r.encoder_delay + r.samples, `${r.file}: last packet ends`);
}

// mp4box remarks on dfLa; nothing else may be said.
const complaints = [];
for (const level of ['warn', 'error']) {
  console[level] = (...text) => complaints.push(text.join(' '));
}

function checkPackage() {
  for (const sub of ['', 'virtual']) {
    for (const name of readdirSync(path.join(dir, sub))) {
      const file = path.join(dir, sub, name);
      if (name.endsWith('.m3u8')) checkPlaylist(file);
      if (name.endsWith('.mpd')) checkMPD(file, !name.startsWith('standard'));
    }
  }
  manifest.renditions.forEach(checkTrack);
  manifest.renditions.forEach(checkBoxes);
  const serious = complaints.filter((c) => !c.includes('dfLa'));
  assert.deepEqual(serious, []);
}

for (dir of process.argv.slice(2)) {
  manifest = JSON.parse(readFileSync(path.join(dir, 'manifest.json'), 'utf8'));
  seconds = manifest.samples / manifest.sample_rate;
  checkPackage();
  const { renditions, segments } = manifest;
  process.stdout.write(
    `${manifest.sample_rate} Hz, ${manifest.samples} samples: ${renditions.length} renditions of ${segments.length} segments are read alike\n`,
  );
}
