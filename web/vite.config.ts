import { defineConfig } from "vitest/config";

/** Where `npm run dev` sends requests: the address that `make run` prints. */
const server = "http://127.0.0.1:8080";

export default defineConfig({
  build: {
    outDir: "../core_rs/python/chiron/_web",
    emptyOutDir: true,
    target: "es2022",
    // The content security policy has no `data:` and no inline code: every asset is a file of its own.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: { index: "index.html", docs: "docs.html" } },
  },
  server: {
    proxy: {
      // The server takes pages of its own origin only.
      "/openapi.json": server,
      "/v1": { target: server, ws: true, headers: { origin: server } },
    },
  },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
