import type { JSX } from "preact";
import { useAnswer } from "./api";
import { clock, Empty, Link, Same, Told, visible } from "./parts";
import { address, go, here, historyOf, type Route } from "./route";

interface Logged { time: number; level: string; module: string; event: string; agent: string; revision: number; correlation: string; host: string; facts: Record<string, string> }

export function Logs({ route }: { route: Route }): JSX.Element {
  const given = Object.fromEntries(["q", "level", "agent", "correlation"].map((name) => [name, route.given.get(name) ?? ""]));
  const found = useAnswer<{ lines: Logged[]; hosts: number; troubles: string[]; command: string }>("logs", given, 2000);
  const set = (name: string) => (event: { currentTarget: { value: string } }): void => go("/logs", here({ [name]: event.currentTarget.value }), true);
  return <><h1>Logs</h1>
    <form class="filters" onSubmit={(event) => event.preventDefault()}>
      <label class="filter">Words <input id="log-words" type="search" value={given.q} onInput={set("q")} /></label>
      <label>Level <select value={given.level} onChange={set("level")}>{["", "debug", "info", "warning", "error", "critical"].map((level) => <option key={level} value={level}>{level || "all"}</option>)}</select></label>
      <label>Agent <input value={given.agent} placeholder="type/key" onInput={set("agent")} /></label>
      {given.correlation ? <button onClick={() => go("/logs", here({ correlation: undefined }))}>conversation {visible(given.correlation)} ✕</button> : null}
    </form>
    <Told of={found}>{(now) => <>
      {now.troubles.map((trouble) => <p key={trouble} class="failure">{visible(trouble)}</p>)}
      {now.lines.length ? <table id="lines"><tbody>{now.lines.slice().reverse().map((line, n) => <tr key={`${line.time} ${n}`} class={line.level === "error" || line.level === "critical" ? "bad" : ""}>
        <td class="t">{clock(line.time).slice(0, 23)}</td><td class={`level ${line.level}`}>{line.level}</td>
        <td>{visible(line.event)} <Facts of={line.facts} /></td>
        <td>{line.agent ? <Link to={historyOf(line.revision ? `${line.agent}@${line.revision}` : line.agent)}>{visible(line.agent)}{line.revision ? `@${line.revision}` : ""}</Link> : null}
          {line.correlation ? <> <Link to={address("/logs", { correlation: line.correlation })}>its conversation</Link></> : null}</td>
        <td class="dim">{visible(line.module.replace(/^moonlet\./, ""))}</td></tr>)}</tbody></table>
        : <Empty>{now.hosts ? "no line fits" : "no host runs now: hosts keep their lines, and tell them while they run"}</Empty>}
      <Same command={now.command} /></>}</Told></>;
}

function Facts({ of }: { of: Record<string, string> }): JSX.Element {
  const short: string[] = [], long: [string, string][] = [];
  for (const [name, value] of Object.entries(of)) if (value.includes("\n")) long.push([name, value]); else short.push(`${name}=${visible(value)}`);
  return <><span class="facts">{short.join(" ")}</span>{long.map(([name, value]) => <pre key={name} class="traceback">{visible(value)}</pre>)}</>;
}
