import { useEffect, useRef, useState } from "preact/hooks";
import { Upload } from "../ui/icons";
import { say } from "../ui/say";

const accept = "audio/*,.wav,.flac,.mp3,.ogg,.oga,.opus,.aiff,.aif,.m4a,.aac,.wma,.caf,.w64";

/** filesIn reads what was dropped; folders have no bytes and are left out. */
function filesIn(data: DataTransfer): File[] {
  const folders = [...data.items].filter((i) => i.webkitGetAsEntry?.()?.isDirectory).length;
  if (folders > 0) say("Folders cannot be dropped here. Open the folder and drop the files in it.");
  return [...data.items]
    .filter((i) => i.kind === "file" && !i.webkitGetAsEntry?.()?.isDirectory)
    .map((i) => i.getAsFile())
    .filter((f): f is File => f !== null);
}

/** DropZone takes files dropped anywhere on the page, or chosen with its button. */
export function DropZone({ big, onFiles }: { big: boolean; onFiles: (files: File[]) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  useEffect(() => catchDrops(setOver, onFiles), [onFiles]);

  return (
    <section class={`drop${big ? " drop-big" : ""}${over ? " over" : ""}`} aria-label="Upload music">
      <span class="drop-sign"><Upload /></span>
      <div class="drop-words">
        <h2>{big ? "Drop your first tracks here" : "Drop tracks here"}</h2>
        <p class="soft">WAV, FLAC, AIFF, MP3, Ogg or AAC. Send the best master you have; every quality is made from it.</p>
      </div>
      <button type="button" class="button primary" onClick={() => input.current?.click()}>Choose files</button>
      <input
        ref={input}
        class="visually-hidden"
        type="file"
        multiple
        accept={accept}
        tabIndex={-1}
        aria-label="Files to upload"
        onChange={(e) => {
          onFiles([...(e.currentTarget.files ?? [])]);
          e.currentTarget.value = "";
        }}
      />
    </section>
  );
}

/** catchDrops takes drops on the whole window, so that a near miss does not open the file. */
function catchDrops(setOver: (over: boolean) => void, onFiles: (files: File[]) => void): () => void {
  let depth = 0;
  const hasFiles = (e: DragEvent) => e.dataTransfer?.types.includes("Files") ?? false;
  const move = (by: number) => (e: DragEvent) => {
    if (!hasFiles(e)) return;
    e.preventDefault();
    depth = Math.max(0, depth + by);
    setOver(depth > 0);
  };
  const drop = (e: DragEvent) => {
    if (!e.dataTransfer || !hasFiles(e)) return;
    e.preventDefault();
    depth = 0;
    setOver(false);
    onFiles(filesIn(e.dataTransfer));
  };
  const all = { dragenter: move(1), dragleave: move(-1), dragover: move(0), drop };
  for (const [name, run] of Object.entries(all)) addEventListener(name, run as EventListener);
  return () => {
    for (const [name, run] of Object.entries(all)) removeEventListener(name, run as EventListener);
  };
}
