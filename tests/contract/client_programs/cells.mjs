// What every program here does: runs its cells, each by itself, and writes a line of JSON for each. The twin of cells.py.
import process from "node:process";

export const { CLIENT_URL: URL, CLIENT_KEY: KEY, CLIENT_MODEL: MODEL } = process.env;
export const SENTENCE = "High tide is at noon.";
export const AFTER_CALL = "The tide table says 12:04.";
export const PLACE = "Brest";
export const ASK = [{ role: "user", content: "When is high tide?" }];
const parameters = { type: "object", properties: { place: { type: "string" } }, required: ["place"] };
export const TOOL = { type: "function", function: { name: "get_tide", description: "When high tide is at a place", parameters } };

export function equal(got, wanted) {
  if (got !== wanted) throw new Error(`${JSON.stringify(got)} in place of ${JSON.stringify(wanted)}`);
}

export function oneOf(got, ...wanted) {
  if (!wanted.includes(got)) throw new Error(`${JSON.stringify(got)} is none of ${JSON.stringify(wanted)}`);
}

/** What a call ends with, which has to be of that kind. */
export async function thrown(call, kind) {
  try {
    await call();
  } catch (error) {
    if (error instanceof kind || kind.isInstance?.(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

export async function run(cells) {
  for (const [cell, call] of Object.entries(cells)) {
    let said = "";
    try {
      await call();
    } catch (error) {
      said = `${error?.name}: ${error?.message}`.replace(/\s+/g, " ");
    }
    console.log(JSON.stringify({ cell, said }));
  }
  process.exit(0); // a client may keep its connections, and the process with them
}
