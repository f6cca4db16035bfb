import type { JSX } from "preact";
import { useAnswer } from "./api";
import { Empty, Link, many, Same, Told, visible } from "./parts";
import { address, go, historyOf, type Route } from "./route";

interface Agent { agent: string; commits: number; known: boolean; commands: number; timers: number; calls: number; parked: number; stopped: number; blocked: number }

export function Agents({ route }: { route: Route }): JSX.Element {
  const wanted = route.given.get("q") ?? "";
  const found = useAnswer<{ agents: Agent[]; more: number; command: string }>("agents", { q: wanted }, 5000);
  return <>
    <h1>Agents</h1>
    <label class="filter">Filter <input id="filter" type="search" value={wanted} placeholder="part of a name" onInput={(event) => go("/agents", { q: event.currentTarget.value }, true)} /></label>
    <Told of={found}>{(now) => <>
      {now.agents.length ? <table><thead><tr><th>agent</th><th class="n">commits</th><th class="n">commands</th><th class="n">timers</th><th class="n">calls</th><th class="n">parked</th><th>kept by</th></tr></thead>
        <tbody>{now.agents.map((each) => <tr key={each.agent} class={each.blocked || each.parked ? "bad" : ""}>
          <td><Link to={historyOf(each.agent)}>{visible(each.agent)}</Link></td><td class="n">{many(each.commits)}</td>
          {[each.commands, each.timers, each.calls].map((count, n) => <td key={n} class="n">{count ? <Link to={address("/waiting", { agent: each.agent })}>{many(count)}</Link> : ""}</td>)}
          <td class="n">{each.parked ? <Link to={address("/parked", { agent: each.agent })}>{many(each.parked)}</Link> : ""}</td>
          <td>{each.stopped ? "stopped " : ""}{each.blocked ? "blocked " : ""}{each.known ? "" : "its code is not known here"}</td></tr>)}</tbody></table>
        : <Empty>{wanted ? "no agent has that in its name" : "no agent has a commit here yet: send one with `moonlet tell`"}</Empty>}
      {now.more ? <Empty>and {many(now.more)} more: write more of the name</Empty> : null}
      <Same command={now.command} />
    </>}</Told>
  </>;
}
