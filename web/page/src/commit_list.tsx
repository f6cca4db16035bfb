// The commits of one agent, a line each. Only what is seen is there, and read: a history may have millions.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, type Row } from "./api";
import { clock, many, Outcome, span, visible } from "./parts";

const HEIGHT = 26, PAGE = 100, MORE = 6, TALLEST = 8_000_000;
const IDLE = 60e6; // µs without a commit, which are told

export function CommitList({ agent, last, at, mark, condition, onGo }: {
  agent: string; last: number; at: number; mark?: number; condition: string; onGo: (revision: number) => void;
}): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const pages = useRef(new Map<number, Row[]>());
  const holds = useRef(new Map<number, (boolean | null)[]>());
  const [top, setTop] = useState(0);
  const [, redraw] = useState(0);
  const [failed, setFailed] = useState("");
  const scale = Math.max(1, ((last + 1) * HEIGHT) / TALLEST); // browsers end at some height
  const first = Math.max(0, Math.floor((top * scale) / HEIGHT) - MORE);
  const end = Math.min(last, first + Math.ceil((box.current?.clientHeight ?? 600) / HEIGHT) + 2 * MORE);

  useEffect(() => { pages.current.clear(); }, [agent]);
  useEffect(() => { holds.current.clear(); setFailed(""); }, [agent, condition]);
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => {
      for (let page = Math.floor(first / PAGE); page <= Math.floor(end / PAGE); page++) {
        const from = Math.max(1, page * PAGE), count = PAGE - (page ? 0 : 1);
        const known = pages.current.get(page);
        if (!known || (known.length < count && from + known.length <= last)) {
          ask<{ rows: Row[] }>("history", { agent, from, count }, stop.signal).then((found) => { pages.current.set(page, found.rows); redraw((n) => n + 1); }, () => undefined);
        }
        const judged = holds.current.get(page);
        if (condition && (!judged || judged.length < Math.min(PAGE, last - page * PAGE + 1))) {
          ask<{ holds: (boolean | null)[] }>("column", { agent, from: page * PAGE, count: PAGE, condition }, stop.signal)
            .then((found) => { holds.current.set(page, found.holds); redraw((n) => n + 1); }, (error: unknown) => { if (!stop.signal.aborted) setFailed((error as Error).message); });
        }
      }
    }, 30);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [agent, last, Math.floor(first / PAGE), Math.floor(end / PAGE), condition]);
  useEffect(() => {
    const place = (at * HEIGHT) / scale, seen = box.current;
    if (seen && (place < seen.scrollTop || place > seen.scrollTop + seen.clientHeight - 2 * HEIGHT)) seen.scrollTop = place - seen.clientHeight / 2;
  }, [at, last === 0]);

  const row = (revision: number): Row | undefined => {
    const page = Math.floor(revision / PAGE);
    return pages.current.get(page)?.[revision - Math.max(1, page * PAGE)];
  };
  const lines: JSX.Element[] = [];
  for (let revision = first; revision <= end; revision++) {
    const found = row(revision), before = row(revision - 1);
    const held = condition ? holds.current.get(Math.floor(revision / PAGE))?.[revision % PAGE] : undefined;
    const idle = found && before && found.micros - before.micros > IDLE ? span(found.micros - before.micros) : "";
    lines.push(
      <div key={revision} class={`commit ${revision === at ? "at" : ""} ${found ? found.outcome : ""}`} style={{ top: `${top - ((top * scale) % HEIGHT) / 1 + (revision - Math.floor((top * scale) / HEIGHT)) * HEIGHT}px` }}
        role="option" aria-selected={revision === at} data-revision={revision} onClick={() => onGo(revision)}>
        {condition ? <span class={`holds ${held}`} title={condition}>{held ? "●" : held === false ? "○" : "·"}</span> : null}
        <span class="rev">{revision === mark ? "▶" : ""}{many(revision)}</span>
        {!revision ? <span class="dim">before the first commit</span> : found ? <>
          <span class="t" title={idle ? `${idle} after the one before` : ""}>{clock(found.micros).slice(11, 23)}{idle ? <em> +{idle}</em> : null}</span>
          <Outcome is={found.outcome} /><b>{visible(found.name)}</b>
          <span class="cut">{visible(found.reason || [...found.events, ...found.effects.map((effect) => `→ ${effect}`)].join(", ") || found.body)}</span>
        </> : <span class="dim">…</span>}
      </div>,
    );
  }
  return <div class="commits" ref={box} onScroll={(event) => setTop(event.currentTarget.scrollTop)} role="listbox" aria-label="commits" tabIndex={0}>
    {failed ? <p class="failure" role="alert">{visible(failed)}</p> : null}
    <div style={{ height: `${((last + 1) * HEIGHT) / scale}px`, position: "relative" }}>{lines}</div>
  </div>;
}
