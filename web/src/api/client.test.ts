import { expect, test } from "vitest";
import { ApiError, problemToError, sentence } from "./client";
import { parseTrack } from "./events";

test("a problem's own sentence and code reach the reader", () => {
  const e = problemToError(422, '{"status":422,"code":"audio.too-short","detail":"The track is shorter than a second."}');
  expect([e.message, e.code, e.status]).toEqual(["The track is shorter than a second.", "audio.too-short", 422]);
});

test("an answer that is no problem still becomes a sentence", () => {
  for (const body of ["", "<html>Bad gateway</html>", "null", "[]", '"x"']) {
    const e = problemToError(502, body);
    expect(e.message).toMatch(/^[A-Z].+\.$/);
    expect(e.message).not.toContain("html");
    expect(e.code).toBe("http.502");
  }
});

test("the text of unknown errors is never shown", () => {
  expect(sentence(new TypeError("x is undefined"))).not.toContain("undefined");
  expect(sentence(new ApiError(0, "c", "Words."))).toBe("Words.");
});

test("an event that is no track is dropped", () => {
  for (const data of ["", "{", "null", "[]", "3", '{"id":7,"state":"received"}', '{"id":"trk_1"}']) expect(parseTrack(data)).toBeUndefined();
  expect(parseTrack('{"id":"trk_1","state":"received"}')?.id).toBe("trk_1");
});
