import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useAnswer } from "./api";
import { clock, Empty, Link, Outcome, Same, Told, visible } from "./parts";
import { go, historyOf, type Route } from "./route";

interface Hit { agent: string; revision: number; micros: number; name: string; outcome: string; reason: string; command: string }

export function Search({ route }: { route: Route }): JSX.Element {
  const wanted = route.given.get("q") ?? "";
  const [typed, setTyped] = useState(wanted);
  const found = useAnswer<{ hits: Hit[]; command: string }>("search", wanted ? { q: wanted } : null);
  return <><h1>Search</h1>
    <form onSubmit={(event) => { event.preventDefault(); go("/search", { q: typed }); }}><label class="filter">Words <input type="search" value={typed} placeholder='of names, ids and reasons; "a phrase"' onInput={(event) => setTyped(event.currentTarget.value)} /></label></form>
    {wanted ? <Told of={found}>{(now) => <>{now.hits.length ? <table><tbody>{now.hits.map((hit) => <tr key={`${hit.agent}@${hit.revision}`}><td class="t">{clock(hit.micros)}</td>
      <td><Link to={historyOf(`${hit.agent}@${hit.revision}`)}>{`${hit.agent}@${hit.revision}`}</Link></td><td><Outcome is={hit.outcome} /></td><td>{visible(hit.name)}</td><td class="cut">{visible(hit.reason || hit.command)}</td></tr>)}</tbody></table>
      : <Empty>no commit has that</Empty>}<Same command={now.command} /></>}</Told> : null}</>;
}
