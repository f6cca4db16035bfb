// What if: the record run on in memory without a command. Nothing of it is real.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useAnswer, type Row } from "./api";
import { Empty, Link, many, Outcome, Same, Told, visible } from "./parts";
import { go, historyOf, type Route } from "./route";

interface Change { path: string; kind: string; old: string; new: string }
interface Parted { agent: string; happened: number; forked: number; gone: number; new: number; otherwise: number; first: Row | null; changes: Change[]; more: number }
interface Found { point: string; dropped: Row; agents: Parted[]; more: number; unanswered: string[]; codeless: string[]; failed: Record<string, string>; stopped: string; command: string }

export function WhatIf({ route }: { route: Route }): JSX.Element {
  const point = route.given.get("point") ?? "";
  const [typed, setTyped] = useState(point);
  const found = useAnswer<Found>("whatif", point ? { point } : null);
  return <><h1>What if <small class="unreal">not real: run on in memory</small></h1>
    <form onSubmit={(event) => { event.preventDefault(); go("/whatif", { point: typed }); }}><label class="filter">Without <input id="without" value={typed} placeholder="AGENT@REVISION" onInput={(event) => setTyped(event.currentTarget.value)} /></label></form>
    {point ? <Told of={found}>{(now) => <div class="unreal" id="whatif">
      <p>Without <Link to={historyOf(now.point)}>{now.point}</Link> <b>{visible(now.dropped.name)}</b> <span class="cut">{visible(now.dropped.body)}</span>:</p>
      {now.agents.length ? now.agents.map((each) => <section key={each.agent} data-agent={each.agent}><h2><Link to={historyOf(each.agent)}>{visible(each.agent)}</Link> <small>{many(each.happened)} commits would be {many(each.forked)}: {many(each.gone)} gone, {many(each.new)} new, {many(each.otherwise)} otherwise</small></h2>
        {each.first ? <p>first <b>{visible(each.first.name)}</b> <Outcome is={each.first.outcome} /> <span class="cut">{visible(each.first.reason || each.first.body)}</span></p> : null}
        <table class="changes"><tbody>{each.changes.map((change) => <tr key={change.path}><td class={change.kind}>{change.kind}</td><td>{visible(change.path)}</td><td>{change.kind === "added" ? "" : visible(change.old)}</td><td>{change.kind === "removed" ? "" : `→ ${visible(change.new)}`}</td></tr>)}</tbody></table>
        {each.more ? <Empty>and {many(each.more)} more</Empty> : null}</section>)
        : <Empty>all agents would hold the same</Empty>}
      {now.more ? <Empty>and {many(now.more)} more agents</Empty> : null}
      {now.unanswered.length ? <p>Nobody answered the calls {now.unanswered.slice(0, 5).map(visible).join(", ")}: they are not in the record.</p> : null}
      {now.codeless.length ? <p>The code of {now.codeless.join(", ")} is not known here: left as it was.</p> : null}
      {Object.entries(now.failed).map(([agent, why]) => <p key={agent} class="failure">{visible(agent)}: {visible(why)}</p>)}
      {now.stopped ? <p>Stopped: {visible(now.stopped)}</p> : null}<Same command={now.command} /></div>}</Told> : <Empty>Name the commit whose command is to be left out.</Empty>}</>;
}
