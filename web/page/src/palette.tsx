// Ctrl-K: go to a page, an agent, or any point that commands know.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ask } from "./api";
import { visible } from "./parts";
import { address, go, historyOf } from "./route";

export const PAGES: [string, string][] = [["/", "Overview"], ["/agents", "Agents"], ["/causes", "Causes"], ["/whatif", "What if"], ["/waiting", "Waiting"], ["/parked", "Parked"], ["/views", "Views"], ["/logs", "Logs"], ["/alerts", "Alerts"], ["/search", "Search"]];

export function Palette({ onClose }: { onClose: () => void }): JSX.Element {
  const box = useRef<HTMLDialogElement>(null);
  const [typed, setTyped] = useState("");
  const [agents, setAgents] = useState<string[]>([]);
  const [at, setAt] = useState(0);
  const [said, setSaid] = useState("");
  useEffect(() => { box.current?.showModal(); }, []);
  useEffect(() => {
    const stop = new AbortController();
    ask<{ agents: { agent: string }[] }>("agents", { q: typed.split("@")[0] }, stop.signal).then((found) => setAgents(found.agents.slice(0, 12).map((each) => each.agent)), () => undefined);
    setAt(0);
    setSaid("");
    return () => stop.abort();
  }, [typed]);
  const choices: [string, string][] = [
    ...PAGES.filter(([, title]) => title.toLowerCase().includes(typed.toLowerCase())).map(([path, title]): [string, string] => [path, title]),
    ...agents.map((agent): [string, string] => [historyOf(agent), agent]),
    ...(typed ? [["point", `go to ${typed}`] as [string, string], [address("/search", { q: typed }), `search for ${typed}`] as [string, string]] : []),
  ];
  const choose = (to: string): void => {
    if (to !== "point") {
      const url = new URL(to, location.href);
      go(url.pathname, Object.fromEntries(url.searchParams));
      onClose();
      return;
    }
    ask<{ agent: string; revision: number }>("point", { text: typed }).then((found) => { go("/history", { agent: found.agent, at: found.revision }); onClose(); }, (error: unknown) => setSaid((error as Error).message));
  };
  const press = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown") setAt(Math.min(at + 1, choices.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(at - 1, 0));
    else if (event.key === "Enter") choose(typed.includes("@") ? "point" : choices[at]?.[0] ?? "point");
    else return;
    event.preventDefault();
  };
  return <dialog ref={box} class="palette" onClose={onClose} aria-label="Go to">
    <input autofocus aria-label="page, agent, or point" placeholder="a page, an agent, AGENT@REVISION, AGENT@08:45, a command's id" value={typed} onInput={(event) => setTyped(event.currentTarget.value)} onKeyDown={press} />
    {said ? <p class="failure" role="alert">{visible(said)}</p> : null}
    <ul>{choices.map(([to, title], n) => <li key={to + title}><button class={n === at ? "at" : ""} onClick={() => choose(to)}>{visible(title)}</button></li>)}</ul>
  </dialog>;
}
