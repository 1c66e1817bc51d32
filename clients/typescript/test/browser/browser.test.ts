import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build, type BuildResult } from "esbuild";
import { chromium, type Browser, type Page as Tab } from "playwright-core";
import { Server } from "../support/server.js";
import type { Page } from "./page.js";
import { Proxy } from "./proxy.js";

declare const page: Page;

// No sandbox, as the tests may run as root; nothing that asks the Internet.
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

describe("in a browser", { timeout: 120_000 }, () => {
  let bundle: BuildResult<{ write: false; metafile: true }>;
  let server: Server;
  let proxies: Proxy[];
  let pages: HttpServer;
  let browser: Browser;
  let tab: Tab;

  before(async () => {
    bundle = await build({
      entryPoints: [fileURLToPath(new URL("page.ts", import.meta.url))],
      bundle: true,
      platform: "browser",
      format: "esm",
      write: false,
      metafile: true,
    });
    server = await Server.start();
    proxies = [await Proxy.start(server.addresses.ws), await Proxy.start(server.addresses.events_ws)];
    pages = createServer((request, response) => {
      const isScript = request.url === "/page.js";
      response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
      response.end(isScript ? bundle.outputFiles[0]?.contents : '<script type="module" src="/page.js"></script>');
    });
    pages.listen(0, "127.0.0.1");
    await once(pages, "listening");
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
    tab = await browser.newPage();
    await tab.goto(`http://127.0.0.1:${String((pages.address() as AddressInfo).port)}/`);
    await tab.waitForFunction(() => typeof page === "object");
  });

  after(async () => {
    await browser.close();
    pages.close();
    proxies.forEach((proxy) => {
      proxy.stop();
    });
    await server.end();
  });

  test("the bundle holds nothing of Node", () => {
    const inputs = Object.keys(bundle.metafile.inputs).filter((input) => !input.includes("test/"));
    assert.ok(inputs.some((input) => input.endsWith("dist/index-browser.js")));
    const ofNode = /node_modules\/ws\/|^dist\/(index|pipe-socket)\.js$|uuid\/dist-node/;
    assert.deepEqual(
      inputs.filter((input) => ofNode.test(input)),
      [],
    );
    assert.doesNotMatch(bundle.outputFiles[0]?.text ?? "", /["']node:|\bBuffer\b/);
  });

  test("calls work, and errors tell what is wrong", async () => {
    const address = proxies[0]?.address ?? "";
    assert.equal(await tab.evaluate((at) => page.trade(at), address), 100);
    const fields = await tab.evaluate((at) => page.violations(at), address);
    assert.ok(fields.includes("signal.symbol") && fields.length > 3, fields.join(", "));
  });

  for (const hasEvents of [true, false]) {
    test(`a stream goes on after the server was killed, with${hasEvents ? "" : "out"} an events address`, async () => {
      const [address = "", eventsAddress = ""] = proxies.map((proxy) => proxy.address);
      const { rows } = await server.command({ do: "sql", sql: "SELECT count(*) FROM tb_events" });
      const before = Number(rows?.[0]?.[0]);
      const stream = tab.evaluate(([at, events, count]) => page.follow(at, events, count), [
        address,
        hasEvents ? eventsAddress : undefined,
        before + 20,
      ] as const);
      await server.command({ do: "trades", count: 10 });
      await server.command({ do: "kill" });
      await server.command({ do: "start" });
      await server.command({ do: "trades", count: 10 });
      assert.deepEqual(
        await stream,
        Array.from({ length: before + 20 }, (_, i) => i + 1),
      );
    });
  }

  test("tradebook itself refuses pages", async () => {
    const refused = tab.evaluate((at) => page.trade(at, 1000), server.addresses.ws);
    await assert.rejects(refused, /unavailable/);
  });
});
