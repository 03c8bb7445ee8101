import assert from "node:assert/strict";
import { Frames } from "../../../extension/frames";

const framed = (body: string): string => `Content-Length: ${Buffer.byteLength(body)}\r\nContent-Type: x; charset=utf-8\r\n\r\n${body}`;

/** What comes through when the text arrives in pieces of this many bytes, and what is set aside. */
async function through(text: string, size: number): Promise<{ readonly passed: string; readonly stray: readonly string[]; readonly heard: number }> {
  const stray: string[] = [];
  let heard = 0;
  const frames = new Frames((each) => stray.push(each), () => { heard += 1; });
  const passed: Buffer[] = [];
  frames.on("data", (chunk: Buffer) => passed.push(chunk));
  const ended = new Promise((resolve) => frames.once("end", resolve));
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) frames.write(bytes.subarray(at, at + size));
  frames.end();
  await ended;
  return { passed: Buffer.concat(passed).toString(), stray, heard };
}

describe("the messages in a process's output", () => {
  const one = framed('{"a": "ü Content-Length: 7 \\r\\n"}');
  const other = framed("{}");

  it("messages pass as they are, however they are cut", async () => {
    for (const size of [1, 2, 7, 50, 10_000]) {
      const { passed, stray, heard } = await through(one + other, size);
      assert.equal(passed, one + other);
      assert.deepEqual(stray, []);
      assert.ok(heard >= 2);
    }
  });

  it("what stands before, between and behind them is set aside", async () => {
    for (const size of [1, 13, 10_000]) {
      const { passed, stray } = await through(`Welcome!\nx: y\n\n${one}warning \u0000${other}Traceback`, size);
      assert.equal(passed, one + other);
      assert.deepEqual(stray, ["Welcome!\nx: y", "warning \u0000", "Traceback"]);
    }
  });

  it("garbage without an end is not kept, and is no sign of life", async () => {
    const { passed, stray, heard } = await through("x".repeat(3_000_000) + other, 65_536);
    assert.equal(passed, other);
    assert.equal(stray.join("").length, 3_000_000);
    assert.equal(heard, 1);
  });

  it("ten megabytes pass in a moment", async () => {
    const body = framed(JSON.stringify("x".repeat(10_000_000)));
    assert.equal((await through(body, 65_536)).passed, body);
  });
});
