import { Component, type ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { Me } from "./api/types";
import { Dock } from "./player/dock";
import { Player } from "./player/player";
import { useShortcuts } from "./player/shortcuts";
import { follow, go, place, type Room } from "./route";
import { ask, may, session, SignIn, signOut } from "./session";
import { Studio } from "./studio/studio";
import { Leave, Mark } from "./ui/icons";
import { Notes } from "./ui/say";

export function App() {
  return (
    <Guard>
      <Body />
      <Notes />
    </Guard>
  );
}

/** Guard shows a sentence instead of an empty page, should the page itself be at fault. */
class Guard extends Component<{ children: ComponentChildren }, { broken: boolean }> {
  override state = { broken: false };

  override componentDidCatch(err: unknown) {
    console.error(err);
    this.setState({ broken: true });
  }

  override render() {
    if (!this.state.broken) return this.props.children;
    return (
      <main class="gate">
        <div class="card gate-card" role="alert">
          <h1>This page tripped over itself</h1>
          <p class="soft">Your music and your uploads on the server are safe. Reload to go on.</p>
          <button type="button" class="button primary" onClick={() => location.reload()}>Reload</button>
        </div>
      </main>
    );
  }
}

function Body() {
  const s = session.value;
  switch (s.state) {
    case "asking":
      return <div class="gate" aria-busy="true" />;
    case "out":
      return <SignIn />;
    case "unreachable":
      return <Unreachable text={s.text} />;
    case "in":
      return <House me={s.me} />;
  }
}

function Unreachable({ text }: { text: string }) {
  return (
    <main class="gate">
      <div class="card gate-card">
        <span class="gate-mark"><Mark /></span>
        <h1>Nobody answers</h1>
        <p class="soft" role="alert">{text}</p>
        <button type="button" class="button primary" onClick={() => void ask()}>Try again</button>
      </div>
    </main>
  );
}

/** roomsOf lists the rooms an account may enter, the usual one first. */
export function roomsOf(me: Me): Room[] {
  const rooms: Room[] = [];
  if (may(me, "listener")) rooms.push("player");
  if (may(me, "creator")) rooms.push("studio");
  return rooms;
}

function House({ me }: { me: Me }) {
  const rooms = roomsOf(me);
  const wanted = place.value.room;
  const room = wanted && rooms.includes(wanted) ? wanted : rooms[0];
  useEffect(() => {
    if (room && room !== wanted) go(`/${room}${location.search}`, "replace");
  }, [room, wanted]);
  useEffect(() => {
    document.title = room === "studio" ? "Studio · MelodyUD" : "MelodyUD";
  }, [room]);
  useShortcuts();
  return (
    <>
      <a class="skip" href="#main">Skip to the content</a>
      <Header me={me} rooms={rooms} room={room} />
      <main id="main" class="room" tabIndex={-1}>
        {room === "player" && <Player tier={me.tier} />}
        {room === "studio" && <Studio canListen={rooms.includes("player")} detail={place.value.detail} />}
        {!room && <p class="soft">Your account has no room here yet. Ask whoever runs this server for the creator or listener role.</p>}
      </main>
      {rooms.includes("player") && <Dock tier={me.tier} shy={room !== "player"} />}
    </>
  );
}

const roomNames: Record<Room, string> = { player: "Listen", studio: "Studio" };

function Header({ me, rooms, room }: { me: Me; rooms: Room[]; room: Room | undefined }) {
  return (
    <header class="top">
      <div class="top-inner">
        <a class="brand" href="/" onClick={follow} aria-label="MelodyUD, to the start">
          <Mark /><span class="brand-name">MelodyUD</span>
        </a>
        {rooms.length > 1 && (
          <nav class="tabs" aria-label="Rooms">
            {rooms.map((r) => (
              <a key={r} href={`/${r}`} onClick={follow} aria-current={r === room ? "page" : undefined}>{roomNames[r]}</a>
            ))}
          </nav>
        )}
        <div class="who">
          <span class="who-name" title={me.name}>{me.name}</span>
          {me.tier === "premium" && <span class="chip">Premium</span>}
          <button type="button" class="icon-button" onClick={() => void signOut()} aria-label="Sign out" title="Sign out"><Leave /></button>
        </div>
      </div>
    </header>
  );
}
