// Prints the size of each entry, bundled for a browser, minified and gzipped.
import {gzipSync} from 'node:zlib'
import {build} from 'esbuild'

for (const entry of process.argv.slice(2)) {
  const made = await build({
    entryPoints: [entry],
    bundle: true,
    format: 'esm',
    legalComments: 'none',
    minify: true,
    platform: 'browser',
    target: 'esnext',
    write: false,
  })
  console.log(gzipSync(made.outputFiles[0].contents, {level: 9}).length)
}
