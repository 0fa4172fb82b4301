import { render } from "preact";
import { App } from "./app";
import { ask } from "./session";

const root = document.getElementById("app");
if (root) render(<App />, root);
void ask();
