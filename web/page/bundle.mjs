// Scripts and a style sheet, into the folder that is named.
import { build } from "esbuild";

await build({
  entryPoints: { app: "src/main.tsx" },
  outdir: process.argv[2],
  bundle: true,
  splitting: true, // what one page alone needs comes when that is looked at
  minify: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "eof",
  logLevel: "error",
});
