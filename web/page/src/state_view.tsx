// A state as lines: folded where somebody wants it, what changed marked by a sign and not by colour alone.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Line } from "./api";
import { many, visible } from "./parts";

const SIGNS: Record<string, string> = { "+": "new", "~": "changed", "-": "gone", ".": "holds a change" };

export function StateView({ lines, cut, chosen, onChoose }: {
  lines: Line[]; cut: boolean; chosen?: string; onChoose?: (path: string) => void;
}): JSX.Element {
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const toggle = (path: string): void => {
    const next = new Set(folded);
    if (!next.delete(path)) next.add(path);
    setFolded(next);
  };
  const shown: JSX.Element[] = [];
  let hidden = Infinity;
  for (const line of lines) {
    if (line.depth > hidden) continue;
    hidden = folded.has(line.path) ? line.depth : Infinity;
    const open = line.count >= 0;
    shown.push(
      <div key={line.mark + line.path} class={`line ${line.mark ? "marked" : ""} ${line.path === chosen ? "chosen" : ""}`} data-path={line.path}
        data-mark={line.mark} style={{ paddingLeft: `${line.depth * 1.1}em` }}>
        <span class="sign" title={SIGNS[line.mark]}>{line.mark || " "}</span>
        {open ? <button class="fold" aria-expanded={!folded.has(line.path)} onClick={() => toggle(line.path)}>{folded.has(line.path) ? "▸" : "▾"}</button> : null}
        <button class="name" onClick={() => onChoose?.(line.path)}>{visible(line.label)}</button>
        <span class="value">{open ? <i>{line.text[0]}{many(line.count)}{line.text[1]}</i> : visible(line.text)}</span>
        {line.before ? <span class="before">was {visible(line.before)}</span> : null}
      </div>,
    );
  }
  return <div class="state" role="group" aria-label="state">{shown}{cut ? <p class="empty">… there is more: the command shows all</p> : null}</div>;
}
