import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useAnswer, type Row } from "./api";
import { Lanes } from "./lanes";
import { clock, Empty, Link, many, Outcome, Same, span, Told, visible } from "./parts";
import { address, go, historyOf, type Route } from "./route";

interface Found { correlation: string; chosen: string; commits: Row[]; more: number; why: Row[]; critical: { point: string; name: string; waited: number; sent: number | null; queued: number | null; committed: number | null }[]; command: string }

export function Causes({ route }: { route: Route }): JSX.Element {
  const point = route.given.get("point") ?? "";
  const [typed, setTyped] = useState(point);
  const found = useAnswer<Found>("causes", point ? { point } : null);
  return <>
    <h1>Causes</h1>
    <form onSubmit={(event) => { event.preventDefault(); go("/causes", { point: typed }); }}>
      <label class="filter">Of <input value={typed} placeholder="AGENT@REVISION, AGENT@TIME, or a command's id" onInput={(event) => setTyped(event.currentTarget.value)} /></label></form>
    {!point ? <Empty>Name a commit, or come from a history.</Empty> : <Told of={found}>{(now) => {
      const critical = new Set(now.critical.map((leg) => leg.point));
      const first = now.commits[0]?.micros ?? 0;
      return <>
        <p>Conversation <code>{visible(now.correlation)}</code>: {many(now.commits.length + now.more)} commits of {many(new Set(now.commits.map((row) => row.agent)).size)} agents.
          The thick line is what its end waited for.</p>
        <div class="wide"><Lanes rows={now.commits} chosen={now.chosen} critical={critical} onChoose={(chosen) => go("/causes", { point: chosen })} /></div>
        {now.more ? <Empty>and {many(now.more)} more that are not drawn</Empty> : null}
        {now.chosen ? <p><b>{now.chosen}</b>: <Link to={historyOf(now.chosen)}>its history there</Link> · <Link to={address("/logs", { correlation: now.correlation })}>what was logged</Link> · <Link to={address("/whatif", { point: now.chosen })}>what if it had not been</Link></p> : null}
        <div class="columns">
          <section><h2>Critical path</h2><table id="critical"><thead><tr><th class="n">took</th><th>commit</th><th class="n">queued</th></tr></thead><tbody>{now.critical.map((leg) => <tr key={leg.point}><td class="n">+{span(leg.waited)}</td><td><Link to={address("/causes", { point: leg.point })}>{leg.point}</Link> {visible(leg.name)}</td><td class="n">{leg.queued === null ? "" : span(leg.queued)}</td></tr>)}</tbody></table></section>
          <section><h2>In the order of time</h2><table><tbody>{now.commits.map((row) => <tr key={`${row.agent}@${row.revision}`} class={`${row.agent}@${row.revision}` === now.chosen ? "at" : ""}>
            <td class="n" title={clock(row.micros)}>{span(row.micros - first)}</td><td><Link to={address("/causes", { point: `${row.agent}@${row.revision}` })}>{`${row.agent}@${row.revision}`}</Link></td>
            <td><Outcome is={row.outcome} /></td><td>{visible(row.name)}</td><td class="cut">{visible(row.reason || row.body)}</td></tr>)}</tbody></table></section>
        </div>
        <Same command={now.command} />
      </>;
    }}</Told>}
  </>;
}
