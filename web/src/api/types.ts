// The JSON the API speaks, as documented in /openapi.json.

export type TrackState = "received" | "published" | "refused" | "withdrawn";

export type Stage = "queued" | "validating" | "rendering" | "storing" | "publishing" | "done" | "held";

export interface Progress {
  stage: Stage;
  /** 0..100 of this stage. */
  percent: number;
  /** 1 for the first attempt. */
  attempt: number;
}

export interface Release {
  id: string;
  number: number;
  duration_seconds: number;
  published: string;
}

export interface Track {
  id: string;
  state: TrackState;
  title: string;
  artist: string;
  album: string;
  /** Within the album, from 1; absent while unknown. */
  disc?: number;
  number?: number;
  /** Told to the owner only. */
  file_name?: string;
  created: string;
  updated: string;
  master?: { sha256: string; size: number };
  progress?: Progress;
  /** Other audio is being prepared; until then listeners hear the release. */
  replacing?: boolean;
  /** Where the owner chose the preview to begin. */
  preview_start_seconds?: number;
  refusal?: { code: string; text: string } | null;
  release?: Release | null;
  cover: boolean;
  /** It is in no listener's list; told to the owner only. */
  ad?: boolean;
}

export interface TrackPage {
  tracks: Track[] | null;
  next?: string;
}

export type Tier = "free" | "premium";
export type Role = "creator" | "listener" | "ops";

export interface Me {
  user: string;
  name: string;
  roles: Role[];
  tier: Tier;
}

export interface Playback {
  url: string;
  /** Only for the premium tier: FLAC beside the AAC ladder. */
  hifi_url?: string;
  dash_url?: string;
  /** From then on it had best be renewed. */
  renew?: string;
  expires: string;
  session?: string;
  track?: Track | string;
  /** What the addresses answer, as far as the server sent it along. */
  start?: Start;
}

/** A playback that goes on with another ticket. */
export interface Renewal {
  /** What addresses began with until now, and what they begin with from now on. */
  was: string;
  base: string;
  renew?: string;
  expires: string;
}

/** Gated over all tracks of an album together. */
export interface AlbumLoudness {
  integrated_lufs: number | null;
  true_peak_dbtp: number | null;
}

/** What a player asks for first. */
export interface Start {
  /** The rendition the files are of. */
  rendition: string;
  files: { path: string; text?: string; data?: string; size?: number }[];
}

export interface Album {
  id: string;
  title: string;
  /** Empty when its tracks have several. */
  artist: string;
  track_count: number;
  duration_seconds: number;
  /** A track whose cover stands for the album. */
  cover_track?: string;
}

export interface AlbumPage {
  albums: Album[] | null;
  next?: string;
}

/** Tracks that play as one. */
export interface ListPlayback {
  url: string;
  hifi_url?: string;
  /** For players that cut each track at its bounds. */
  exact_url: string;
  exact_hifi_url?: string;
  renew?: string;
  expires: string;
  session?: string;
  tracks: { start_seconds: number; track: Track }[];
  /** Of exact_url. */
  start?: Start;
}

/** What the Studio shows of features.v1; null with a reason where nothing can be said. */
export interface Features {
  duration_s: number;
  sample_rate: number;
  channels: number;
  bit_depth: number;
  loudness: { integrated_lufs: number | null; range_lu: number | null; true_peak_dbtp: number | null };
  quality: { remarks: Remark[] | null; bandwidth_hz: number | null; reason?: string };
  rhythm: {
    tempo_bpm: number | null;
    tempo_confidence: number | null;
    tempo_alt_bpm: number | null;
    time_signature: number | null;
    beats_s: number[] | null;
    downbeat_index: number[] | null;
    reason?: string;
  };
  tonal: { key: number | null; mode: number | null; key_confidence: number | null; camelot?: string; tuning_cents: number | null; reason?: string };
  perceptual: Partial<Record<ScoreName, { value: number | null; calibrated: boolean }>>;
  structure: { sections: Section[] | null };
}

export type ScoreName = "energy" | "danceability" | "acousticness" | "instrumentalness" | "valence" | "speechiness" | "liveness";

export interface Section {
  start: number;
  duration: number;
}

/** A finding about a file: never a refusal. */
export interface Remark {
  code: string;
  text: string;
  at?: { start: number; end: number }[];
}

export interface ReleaseOf {
  id: string;
  number: number;
  duration_seconds: number;
  published: string;
  current: boolean;
  file_name: string;
  master: { sha256: string; size: number };
}

export interface Duplicate {
  kind: "recording" | "review" | "speed";
  offset_seconds: number;
  score: number;
  speed: number;
  state: "open" | "dismissed";
  /** Absent when it is somebody else's. */
  track?: { id: string; title: string };
}

export interface Quota {
  bytes: { used: number; reserved: number; limit?: number };
  hours: { used: number; reserved: number; limit?: number };
  uploads_today: { used: number; limit?: number; resets: string };
}

/** An upload once its bytes have arrived. */
export interface UploadView {
  id: string;
  state: "open" | "complete" | "stored" | "received" | "refused" | "duplicate";
  track: string;
  /** The track that has the same bytes. */
  duplicate_of?: string;
  refusal?: { code: string; text: string };
}

/** What a creator may change of a track. */
export type Names = Partial<Pick<Track, "title" | "artist" | "album" | "disc" | "number" | "preview_start_seconds">>;

/** RFC 9457. */
export interface Problem {
  type?: string;
  title?: string;
  status?: number;
  code?: string;
  detail?: string;
  incident?: string;
}

/** How often a track was played; days are the last ones, oldest first, today last. */
export interface PlayCount {
  track: string;
  plays: number;
  days: number[];
}

/** How a track was listened to. */
export interface PlayNumbers {
  plays: number;
  listeners: number;
  completions: number;
  skips: number;
  early_skips: number;
  hours: number;
}

export interface Plays {
  total: PlayNumbers;
  days: (PlayNumbers & { date: string })[];
}

/** Where a track may be heard; neither list: everywhere. */
export interface Territories {
  only?: string[];
  except?: string[];
  /** Whether the server can tell where listeners are. */
  countries_known?: boolean;
}
