// Bundle src into the folder that the API serves. Equal sources give equal files.
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import esbuild from "esbuild";

const WEB = dirname(fileURLToPath(import.meta.url));
const OUTPUT = join(WEB, "../layers/exporttiles/python/exporttiles/rest/static");

const OPTIONS = {
  absWorkingDir: WEB,
  outdir: OUTPUT,
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none", // LICENSES.txt holds them
  metafile: true,
};

async function main() {
  await rm(OUTPUT, { recursive: true, force: true });
  await mkdir(OUTPUT, { recursive: true });
  // A file of its own: it changes with its version only, and pages name it, so that it loads at once.
  const openlayers = await esbuild.build({ ...OPTIONS, entryPoints: ["src/openlayers.ts"] });
  const [path] = Object.keys(openlayers.metafile.outputs);
  const external = {
    name: "openlayers",
    setup: (build) =>
      build.onResolve({ filter: /\/openlayers$/ }, () => ({ path: `./${basename(path)}`, external: true })),
  };
  const pages = await esbuild.build({ ...OPTIONS, entryPoints: ["src/page.ts", "src/page.css"], plugins: [external] });
  await writeFile(join(OUTPUT, "LICENSES.txt"), await licences([openlayers.metafile, pages.metafile]));
  await writeFile(join(OUTPUT, "SOURCES.sha256"), await digests());
}

/** Return the licence text of each package whose code is in the output. */
async function licences(metafiles) {
  const used = new Set(
    metafiles
      .flatMap(({ outputs }) => Object.values(outputs))
      .flatMap(({ inputs }) => Object.entries(inputs))
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
      .flatMap(([path]) => path.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ?? []),
  );
  const texts = [...used].sort().map(async (name) => {
    const folder = join(WEB, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).sort().find((each) => /^licen[cs]e/i.test(each));
    const text = file ? await readFile(join(folder, file), "utf8") : `${license}\n`;
    return `${name} ${version} (${license})\n\n${text.replaceAll("\r", "").trim()}\n`;
  });
  return (await Promise.all(texts)).join(`\n${"-".repeat(80)}\n\n`);
}

/** Return the SHA-256 of each source file: a test compares them, without Node. */
async function digests() {
  const names = ["build.mjs", "package-lock.json", "package.json", "tsconfig.json"];
  for (const entry of await readdir(join(WEB, "src"), { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) names.push(relative(WEB, join(entry.parentPath, entry.name)).split(sep).join("/"));
  }
  const lines = names.sort().map(async (name) => {
    const digest = createHash("sha256").update(await readFile(join(WEB, name))).digest("hex");
    return `${digest}  ${name}\n`;
  });
  return (await Promise.all(lines)).join("");
}

await main();
