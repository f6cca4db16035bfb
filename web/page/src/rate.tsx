// Commits a second over the last two minutes, from the live stream.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useNews } from "./api";

const SECONDS = 120;

export function Rate(): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const counts = useRef(new Map<number, number>());
  useNews((news) => {
    const second = Math.floor(Date.now() / 1000);
    counts.current.set(second, (counts.current.get(second) ?? 0) + news.total);
  });
  useEffect(() => {
    const seen = place.current!;
    let plot: uPlot | undefined, timer = 0, gone = false;
    const draw = (): void => {
      const now = Math.floor(Date.now() / 1000), times = [...Array(SECONDS).keys()].map((n) => now - SECONDS + n);
      for (const second of counts.current.keys()) if (second < now - SECONDS) counts.current.delete(second);
      plot?.setData([times, times.map((second) => counts.current.get(second) ?? 0)]);
    };
    // In a browser whose language it can't read it throws as it is loaded: the rest of the page does without.
    import("uplot").then(({ default: Plot }) => {
      if (gone) return;
      const ink = getComputedStyle(document.documentElement);
      const axis = { stroke: ink.getPropertyValue("--dim"), grid: { stroke: ink.getPropertyValue("--edge"), width: 1 } };
      plot = new Plot({
        width: seen.clientWidth || 600, height: 150, legend: { show: false }, cursor: { show: false },
        scales: { y: { range: (_, __, most) => [0, Math.max(5, most * 1.1)] } }, axes: [axis, axis],
        series: [{}, { stroke: ink.getPropertyValue("--accent"), width: 2, fill: ink.getPropertyValue("--wash") }],
      }, [[], []], seen);
      draw();
      timer = window.setInterval(draw, 1000);
    }, () => { seen.textContent = "no chart can be drawn in this browser"; });
    const resized = new ResizeObserver(() => plot?.setSize({ width: seen.clientWidth, height: 150 }));
    resized.observe(seen);
    return () => { gone = true; clearInterval(timer); resized.disconnect(); plot?.destroy(); };
  }, []);
  return <div class="chart" ref={place} role="img" aria-label="commits a second, the last two minutes" />;
}
