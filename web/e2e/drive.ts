// What a page of the lab does with a player. It is sent to the browser as text and
// uses nothing but its argument and the player's own global.

export interface Drive {
  player: "hls" | "shaka" | "dash";
  url: string;
  /** The rendition of each segment, as an index in order of bandwidth; none: the player's own choice. */
  order: number[];
  /** Play into an audio graph that leads nowhere, not to the sound card. */
  graph?: boolean;
  /** hls.js as our page makes it: with window.ours. */
  ours?: boolean;
}

export interface Driven {
  /** Renditions the player would switch between, by bandwidth in bits per second. */
  levels: number[];
  /** Renditions of the segments in the order they were asked for. */
  asked: string[];
  /** The segments' numbers. */
  numbers: number[];
  buffered: [number, number][];
  duration: number;
  /**
   * Where the sound stopped once it had begun, and how many seconds of it lay ready
   * there: with none it stopped for want of data, with some because the machine was slow.
   */
  waits: { at: number; ready: number }[];
  errors: string[];
}

/* eslint-disable @typescript-eslint/no-explicit-any -- three players' own interfaces, of which little is used */
export const drive = async (job: Drive): Promise<Driven> => {
  const g = globalThis as any;
  const audio = document.createElement("audio");
  audio.volume = 0.01;
  document.body.append(audio);
  // Without a sound card Firefox plays nothing, but into a graph it does.
  if (job.graph) void new AudioContext().createMediaElementSource(audio);
  const seen: Driven = { levels: [], asked: [], numbers: [], buffered: [], duration: 0, waits: [], errors: [] };
  const fault = (text: string) => seen.errors.includes(text) || seen.errors.push(text);
  let finish = () => {};
  const ended = new Promise<void>((done) => (finish = done));
  audio.addEventListener("ended", () => finish());
  let [started, ahead] = [false, false];
  audio.addEventListener("playing", () => (started = true));
  audio.addEventListener("waiting", () => {
    if (!started || !ahead || audio.ended) return;
    const at = audio.currentTime;
    let ready = 0;
    for (let i = 0; i < audio.buffered.length; i++) if (audio.buffered.start(i) <= at + 0.001 && audio.buffered.end(i) > at) ready = audio.buffered.end(i) - at;
    seen.waits.push({ at, ready });
  });
  performance.setResourceTimingBufferSize(2000);
  let next = 0;
  const step = () => job.order[++next];

  const hls = async () => {
    // One segment at a time, so that each is asked for after the change.
    const [none, all] = [0.01, 600];
    const own = job.ours ? g.ours(g.Hls) : {};
    const h = new g.Hls({ ...own, enableWorker: false, maxBufferSize: 0, maxBufferLength: none, maxMaxBufferLength: all, backBufferLength: Infinity });
    const ready = new Promise<void>((done) => h.on("hlsManifestParsed", () => done()));
    // A stop is judged by `waiting`, which tells want of data from a busy machine.
    h.on("hlsError", (_e: unknown, d: any) => !["bufferStalledError", "bufferNudgeOnStall"].includes(d.details) && fault(`${d.details} ${d.error?.message ?? ""} ${audio.error?.message ?? ""}`));
    h.on("hlsFragLoading", (_e: unknown, d: any) => d.frag.sn !== "initSegment" && (h.config.maxBufferLength = none));
    h.on("hlsFragBuffered", () => {
      const to = step();
      if (to !== undefined) h.loadLevel = to;
      h.config.maxBufferLength = all;
    });
    h.on("hlsManifestParsed", () => {
      seen.levels = h.levels.map((l: any) => l.bitrate);
      if (job.order[0] !== undefined) h.loadLevel = job.order[0];
    });
    h.attachMedia(audio);
    h.loadSource(job.url);
    await ready;
  };

  const shaka = async () => {
    g.shaka.polyfill.installAll();
    const p = new g.shaka.Player();
    p.addEventListener("error", (e: any) => fault(`shaka ${e.detail.code}`));
    p.configure({ abr: { enabled: job.order.length === 0, defaultBandwidthEstimate: 1 }, streaming: { bufferingGoal: 600, bufferBehind: 600 } });
    await p.attach(audio);
    const tracks = () => p.getVariantTracks().sort((a: any, b: any) => a.bandwidth - b.bandwidth);
    p.addEventListener("segmentappended", () => {
      const to = tracks()[step() ?? -1];
      if (to) p.selectVariantTrack(to, false);
    });
    p.addEventListener("streaming", () => {
      seen.levels = tracks().map((t: any) => t.bandwidth);
      const first = tracks()[job.order[0] ?? -1];
      if (first) p.selectVariantTrack(first, false);
    });
    await p.load(job.url);
  };

  const dash = async () => {
    const p = g.dashjs.MediaPlayer().create();
    p.updateSettings({
      streaming: {
        buffer: { bufferTimeAtTopQuality: 600, bufferTimeAtTopQualityLongForm: 600, bufferTimeDefault: 600, bufferToKeep: 600, fastSwitchEnabled: false },
        abr: { autoSwitchBitrate: { audio: job.order.length === 0 } },
      },
    });
    p.on("error", (e: any) => fault(`dash ${e.error?.code ?? ""} ${e.error?.message ?? e.error}`));
    const all = () =>
      p.getTracksFor("audio").flatMap((track: any) => track.bitrateList.map((b: any) => ({ track, id: b.id, bandwidth: b.bandwidth }))).sort((a: any, b: any) => a.bandwidth - b.bandwidth);
    const go = (to: number | undefined) => {
      const found = all()[to ?? -1];
      if (found) p.setRepresentationForTypeById("audio", found.id, false);
    };
    // It looks at the clock itself, and where it is before the browser it pauses at the end: `ended` never comes.
    p.on("playbackEnded", () => finish());
    p.on("streamInitialized", () => {
      seen.levels = p.getRepresentationsByType("audio").map((r: any) => r.bandwidth).sort((a: number, b: number) => a - b);
      go(job.order[0]);
    });
    p.on("bytesAppendedEndFragment", (e: any) => Number.isFinite(e.index) && go(step()));
    p.initialize(audio, job.url, false);
  };

  await { hls, shaka, dash }[job.player]();
  // A few segments ahead before the music starts: how fast a busy machine fetches the second one is not asked here.
  // hls.js plays meanwhile, as in a pause it asks for nearly each segment again after a change of its rendition.
  const ready = () => audio.buffered.length > 0 && audio.buffered.end(0) > 6;
  if (job.player === "hls") void audio.play();
  for (let i = 0; i < 150 && !ready(); i++) await new Promise((done) => setTimeout(done, 100));
  const late = new Promise<void>((done) => setTimeout(() => done(void fault(`not at its end in time, but at ${audio.currentTime}`)), 60_000));
  ahead = true;
  await audio.play();
  await Promise.race([ended, late]);
  seen.duration = audio.duration;
  for (let i = 0; i < audio.buffered.length; i++) seen.buffered.push([audio.buffered.start(i), audio.buffered.end(i)]);
  const segments = performance.getEntriesByType("resource").flatMap((e) => [/([^/]+)\/s\/(\d+)\.m4s/.exec(e.name) ?? []].filter((m) => m.length > 0));
  seen.asked = segments.map((m) => m[1] ?? "");
  seen.numbers = segments.map((m) => Number(m[2]));
  return seen;
};
