// Runs programs of tests in Node, one after the other: what they are told comes in as lines of JSON, what they say goes
// out as such.

import { createInterface } from "node:readline";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

// One answer for each question, in their order.
let last = Promise.resolve();
const ask = (value) => {
  last = last.then(async () => {
    say({ ask: value });
    return JSON.parse((await lines.next()).value);
  });
  return last;
};

for (let line = await lines.next(); !line.done; line = await lines.next()) {
  const { file, name, input } = JSON.parse(line.value);
  try {
    const programs = await import(`./programs/${file}.js`);
    say({ done: (await programs[name](input, ask)) ?? null });
  } catch (error) {
    say({ error: String(error?.stack ?? error) });
  }
}
