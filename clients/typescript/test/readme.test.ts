import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Server } from "./support/server.js";

const run = promisify(execFile);
const folder = fileURLToPath(new URL("../", import.meta.url));
const newcomer = fileURLToPath(new URL("../../../build/clients/typescript/newcomer/", import.meta.url));

function blocks(language: string): string[] {
  const readme = readFileSync(`${folder}README.md`, "utf8");
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map((match) => match[1] ?? "");
}

describe("README", { timeout: 120_000 }, () => {
  test("the example is typed, works with the package as it is published, and prints what is said", async () => {
    rmSync(newcomer, { recursive: true, force: true });
    mkdirSync(newcomer, { recursive: true });
    const { stdout: tarball } = await run(
      "npm",
      ["pack", "--silent", "--ignore-scripts", "--pack-destination", newcomer],
      {
        cwd: folder,
      },
    );
    writeFileSync(`${newcomer}package.json`, "{}");
    const [install = ""] = blocks("sh");
    const command = install.trim().replace("@tradebook/client", `./${tarball.trim()}`).split(" ").slice(1);
    await run("npm", [...command, "--prefer-offline", "--no-audit", "--no-fund"], { cwd: newcomer });

    const example = blocks("js")[0] ?? "";
    writeFileSync(`${newcomer}example.mjs`, example);
    writeFileSync(`${newcomer}example.mts`, example);
    const strict = ["--noEmit", "--strict", "--module", "node20", "--target", "es2022", "--skipLibCheck"];
    const types = ["--types", "node", "--typeRoots", `${folder}node_modules/@types`];
    await run(`${folder}node_modules/.bin/tsc`, [...strict, ...types, "example.mts"], { cwd: newcomer });
    const server = await Server.start();
    const { address, events_address: eventsAddress } = server.addresses;
    const { stdout } = await run("node", ["example.mjs", address, eventsAddress], { cwd: newcomer, timeout: 20_000 });
    await server.end();
    assert.equal(stdout, blocks("text")[0]);
  });
});
