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
  refusal?: { code: string; text: string } | null;
  release?: Release | null;
  cover: boolean;
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
  expires: string;
  session?: string;
  track?: Track | string;
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
  expires: string;
  session?: string;
  tracks: { start_seconds: number; track: Track }[];
}

/** RFC 9457. */
export interface Problem {
  type?: string;
  title?: string;
  status?: number;
  code?: string;
  detail?: string;
  incident?: string;
}
