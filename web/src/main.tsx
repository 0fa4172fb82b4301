import { options, render } from "preact";
import { App } from "./app";
import { early } from "./player/player";
import { place } from "./route";
import { ask } from "./session";
import { later } from "./ui/later";

options.debounceRendering = later;
if (place.value.room !== "studio") early();
const root = document.getElementById("app");
if (root) render(<App />, root);
void ask();
