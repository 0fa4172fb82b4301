import type { ComponentChildren } from "preact";

// Drawn on a 24-unit grid with a 1.75 stroke; filled shapes for transport keys.

function Line({ children }: { children: ComponentChildren }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

function Solid({ children }: { children: ComponentChildren }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" fill="currentColor" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

export const Play = () => <Solid><path d="M7.5 4.9c0-1 1.1-1.6 2-1.1l10.6 6.9c.9.6.9 1.9 0 2.5L9.5 20.2c-.9.5-2-.1-2-1.1z" /></Solid>;
export const Pause = () => <Solid><rect x="5.5" y="4" width="4.6" height="16" rx="1.5" /><rect x="13.9" y="4" width="4.6" height="16" rx="1.5" /></Solid>;
export const Next = () => <Solid><path d="M5 5.6c0-.9 1-1.5 1.8-1l8.7 6.2c.8.6.8 1.8 0 2.4l-8.7 6.2c-.8.5-1.8-.1-1.8-1z" /><rect x="17" y="4.5" width="2.6" height="15" rx="1.3" /></Solid>;
export const Previous = () => <Solid><path d="M19 5.6c0-.9-1-1.5-1.8-1l-8.7 6.2c-.8.6-.8 1.8 0 2.4l8.7 6.2c.8.5 1.8-.1 1.8-1z" /><rect x="4.4" y="4.5" width="2.6" height="15" rx="1.3" /></Solid>;
export const Loud = () => <Line><path d="M4 9.5v5h3.2L12 18.8V5.2L7.2 9.5z" /><path d="M15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a7.8 7.8 0 0 1 0 11" /></Line>;
export const Quiet = () => <Line><path d="M4 9.5v5h3.2L12 18.8V5.2L7.2 9.5z" /><path d="M15.5 9a4.2 4.2 0 0 1 0 6" /></Line>;
export const Muted = () => <Line><path d="M4 9.5v5h3.2L12 18.8V5.2L7.2 9.5z" /><path d="m16 9.5 5 5M21 9.5l-5 5" /></Line>;
export const Upload = () => <Line><path d="M12 15.5V4.5M7.5 8.5 12 4l4.5 4.5M4.5 15v3a2 2 0 0 0 2 2h11a2 2 0 0 0 2-2v-3" /></Line>;
export const Pencil = () => <Line><path d="m4.5 19.5.9-3.9L16 5a2.1 2.1 0 0 1 3 3L8.4 18.6zM14 7l3 3" /></Line>;
export const Bin = () => <Line><path d="M4.5 6.5h15M9.5 6V4.5h5V6M6.5 6.5l.9 12a1.5 1.5 0 0 0 1.5 1.4h6.2a1.5 1.5 0 0 0 1.5-1.4l.9-12M10 10.5v5.5M14 10.5v5.5" /></Line>;
export const Link = () => <Line><path d="M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1" /><path d="M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1-1" /></Line>;
export const Cross = () => <Line><path d="m6 6 12 12M18 6 6 18" /></Line>;
export const Check = () => <Line><path d="m5 12.5 4.5 4.5L19 7.5" /></Line>;
export const Alert = () => <Line><circle cx="12" cy="12" r="8.5" /><path d="M12 7.8v5M12 16v.1" /></Line>;
export const Again = () => <Line><path d="M19 12a7 7 0 1 1-2.2-5.1L19 9M19 4.5V9h-4.5" /></Line>;
export const Note = () => <Line><path d="M9 18V6.2L19 4v11.5" /><circle cx="6.5" cy="18" r="2.5" /><circle cx="16.5" cy="15.5" r="2.5" /></Line>;
export const Key = () => <Line><circle cx="8" cy="15.5" r="4" /><path d="m11 12.5 8.5-8.5M16 7.5l2.5 2.5" /></Line>;
export const Chevron = () => <Line><path d="m7 10 5 5 5-5" /></Line>;
export const Leave = () => <Line><path d="M14 4.5H7a2 2 0 0 0-2 2v11a2 2 0 0 0 2 2h7M11 12h9M16.5 8.5 20 12l-3.5 3.5" /></Line>;
export const Lines = () => <Line><path d="M4.5 7h11M4.5 12h11M4.5 17h6.5M18.5 13v7M15 16.5h7" /></Line>;
export const Gauge = () => <Line><path d="M5 17.5a8.5 8.5 0 1 1 14 0M12 14l3.5-4.5" /></Line>;
export const Dots = () => <Solid><circle cx="12" cy="5.5" r="1.7" /><circle cx="12" cy="12" r="1.7" /><circle cx="12" cy="18.5" r="1.7" /></Solid>;
export const Up = () => <Line><path d="m7 14 5-5 5 5" /></Line>;
export const Down = () => <Line><path d="m7 10 5 5 5-5" /></Line>;

export const Mark = () => (
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <rect width="32" height="32" rx="9" fill="currentColor" />
    <path d="M8 13.5v5M12 9.5v13M16 12.5v7M20 7.5v17M24 13v6" stroke="var(--on-accent)" stroke-width="2.6" stroke-linecap="round" />
  </svg>
);

/** Three bars that move while music plays; they rest when it is paused or motion is unwanted. */
export const Bars = ({ moving }: { moving: boolean }) => (
  <svg class={moving ? "icon bars moving" : "icon bars"} viewBox="0 0 24 24" fill="currentColor" aria-hidden="true" focusable="false">
    <rect x="4" y="5" width="4" height="14" rx="1.5" />
    <rect x="10" y="5" width="4" height="14" rx="1.5" />
    <rect x="16" y="5" width="4" height="14" rx="1.5" />
  </svg>
);
export const Back = () => <Line><path d="M19 12H5.5M11 6l-6 6 6 6" /></Line>;
export const Good = () => <Line><path d="m5 12.5 4.5 4.5L19 7.5" /></Line>;
