// What waits, what is parked, the views, and the alerts.
import type { JSX } from "preact";
import { useAnswer, type Line } from "./api";
import { clock, Empty, Link, many, Same, span, Told, visible } from "./parts";
import { address, historyOf, type Route } from "./route";
import { StateView } from "./state_view";

interface Waits {
  agent: string; revision: number; queues: { lane: string; outside: boolean; commands: number; oldest: number }[]; calls: Record<string, number>; timers: Record<string, number>;
  undispatched: number[]; parked: number[]; stopped: boolean; blocked: { kind: string; name: string; seconds: number } | null;
}
type Counts = { agent: string } & Record<string, number | string>;
const KINDS = ["commands", "timers", "calls", "parked", "stopped", "blocked"];

export function Waiting({ route }: { route: Route }): JSX.Element {
  const agent = route.given.get("agent") ?? "";
  const all = useAnswer<{ agents: Counts[]; more: number; command: string }>("waiting", {}, 2000);
  return <>
    <h1>Waiting</h1>
    {agent ? <One agent={agent} /> : null}
    <Told of={all}>{(now) => <>
      {now.agents.length ? <table id="waiting"><thead><tr><th>agent</th>{KINDS.map((kind) => <th key={kind} class="n">{kind}</th>)}</tr></thead>
        <tbody>{now.agents.map((each) => <tr key={each.agent} class={each.agent === agent ? "at" : ""}><td><Link to={address("/waiting", { agent: each.agent })}>{visible(each.agent)}</Link></td>
          {KINDS.map((kind) => <td key={kind} class="n">{each[kind] ? many(Number(each[kind])) : ""}</td>)}</tr>)}</tbody></table> : <Empty>nobody waits for anything</Empty>}
      {now.more ? <Empty>and {many(now.more)} more</Empty> : null}<Same command={now.command} /></>}</Told>
  </>;
}

function One({ agent }: { agent: string }): JSX.Element {
  const found = useAnswer<{ now: number; agent: Waits; command: string }>("waiting", { agent }, 2000);
  return <section class="one" id="waits"><h2><Link to={historyOf(agent)}>{visible(agent)}</Link></h2><Told of={found}>{({ now, agent: waits, command }) => <>
    <ul>
      {waits.queues.map((queue) => <li key={queue.lane + queue.outside}><b>{many(queue.commands)}</b> {queue.lane} commands {queue.outside ? "from outside" : "of agents"}, the oldest for <b>{queue.oldest.toFixed(1)} s</b></li>)}
      {Object.entries(waits.calls).map(([id, since]) => <li key={id}>call {visible(id)}, for <b>{span(now - since)}</b></li>)}
      {Object.entries(waits.timers).map(([name, due]) => <li key={name}>timer {visible(name)}, {due > now ? `in ${span(due - now)}` : `due ${span(now - due)} ago`}, at {clock(due).slice(0, 19)}</li>)}
      {waits.undispatched.length ? <li>effects of {waits.undispatched.slice(-5).map((revision) => `@${revision}`).join(", ")} are not all out</li> : null}
      {waits.parked.length ? <li><Link to={address("/parked", { agent })}>{many(waits.parked.length)} parked</Link></li> : null}
      {waits.stopped ? <li class="bad">stopped by somebody: its commands wait until it is started</li> : null}
      {waits.blocked ? <li class="bad">blocked: its {waits.blocked.kind} {visible(waits.blocked.name)} kept a host for {waits.blocked.seconds.toFixed(1)} s</li> : null}
    </ul><Same command={command} /></>}</Told></section>;
}

interface ParkedRow { number: number; time: number; agent: string; revision: number; name: string; effect: string; cause: string; attempts: number; traceback: string; retry: string }

export function Parked({ route }: { route: Route }): JSX.Element {
  const agent = route.given.get("agent") ?? undefined;
  const found = useAnswer<{ parked: ParkedRow[]; more: number; command: string }>("parked", { agent }, 5000);
  return <><h1>Parked {agent ? <small>{visible(agent)}</small> : null}</h1><Told of={found}>{(now) => <>
    {now.parked.length ? now.parked.map((each) => <details key={each.number} class="parked">
      <summary><b>{each.number}</b> <time>{clock(each.time).slice(0, 19)}</time> {visible(`${each.agent}@${each.revision}`)} {each.effect} <b>{visible(each.name)}</b> <span class="cut">{visible(each.cause)}</span></summary>
      <p><Link to={historyOf(`${each.agent}@${each.revision}`)}>Its history there</Link>, tried {each.attempts} times</p><p>{visible(each.cause)}</p>{each.traceback ? <pre class="traceback">{visible(each.traceback)}</pre> : null}
      <p>Mend what caused it, then:</p><Same command={each.retry} /></details>) : <Empty>nothing is parked</Empty>}
    {now.more ? <Empty>and {many(now.more)} more</Empty> : null}<Same command={now.command} /></>}</Told></>;
}

interface Replica { view: string; version: number; replica: string; standing: string; behind: number; digest: string; failure: string; said: number }

export function Views({ route }: { route: Route }): JSX.Element {
  const chosen = route.given.get("view") ?? "";
  const found = useAnswer<{ views: { name: string; version: number }[]; replicas: Replica[]; command: string }>("views", {}, 5000);
  return <><h1>Views</h1><Told of={found}>{(now) => <>
    {now.views.length ? <p class="choices">{now.views.map((each) => <Link key={each.name} class={each.name === chosen ? "at" : ""} to={address("/views", { view: each.name })}>{visible(each.name)} {each.version}</Link>)}</p> : <Empty>no view's code is known here</Empty>}
    {now.replicas.length ? <table><thead><tr><th>view</th><th>replica</th><th>standing</th><th class="n">behind</th><th>digest</th></tr></thead><tbody>{now.replicas.map((each) => <tr key={each.view + each.replica} class={each.failure ? "bad" : ""}>
      <td>{visible(each.view)} {each.version}</td><td>{visible(each.replica)}</td><td>{visible(each.standing)} {visible(each.failure)}</td><td class="n">{many(each.behind)}</td><td><code>{each.digest.slice(0, 12)}</code></td></tr>)}</tbody></table> : null}
    {chosen ? <Value view={chosen} /> : null}<Same command={now.command} /></>}</Told></>;
}

function Value({ view }: { view: string }): JSX.Element {
  const found = useAnswer<{ lines: Line[]; cut: boolean; digest: string; frontier: string; command: string }>("view", { view });
  return <Told of={found}>{(now) => <><h2>{visible(view)} <small>{now.digest.slice(0, 12)}</small></h2><p class="dim">folded up to {visible(now.frontier)}</p>
    <StateView lines={now.lines} cut={now.cut} /><Same command={now.command} /></>}</Told>;
}

interface Firing { rule: string; severity: string; since: number; acknowledged: string; beyond: { labels: Record<string, string>; value: number }[]; meaning: string; fix: string }
interface Rule { name: string; severity: string; when: string; hold: number; meaning: string; fix: string }

export function Alerts(): JSX.Element {
  const found = useAnswer<{ hosts: { page: string; failed: string; firing: Firing[]; history: { rule: string; what: string; value: number }[] }[]; rules: Rule[]; command: string }>("alerts", {}, 3000);
  return <><h1>Alerts</h1><Told of={found}>{(now) => <>
    {now.hosts.length ? now.hosts.map((host) => <section key={host.page}><h2>{host.page}</h2>{host.failed ? <p class="failure" role="alert">{visible(host.failed)}</p> : null}
      {host.firing.map((each) => <div key={each.rule} class={`alert ${each.severity}`}><b>{visible(each.rule)}</b> {each.severity} <p>{visible(each.meaning)}</p>
        <ul>{each.beyond.slice(0, 10).map((at, n) => <li key={n}>{visible(Object.entries(at.labels).map(([name, value]) => `${name}=${value}`).join(" "))}: {at.value}</li>)}</ul><p>What to do: {visible(each.fix)}</p></div>)}
      {!host.failed && !host.firing.length ? <Empty>nothing fires</Empty> : null}
      {host.history.length ? <ul>{host.history.slice(-20).reverse().map((each, n) => <li key={n}>{visible(each.rule)} {visible(each.what)}</li>)}</ul> : null}</section>)
      : <Empty>no host is watched: start the console with <code>--watch</code> and the address that <code>moonlet run --metrics-port</code> printed</Empty>}
    <h2>Rules</h2><table><thead><tr><th>rule</th><th>severity</th><th>when</th><th class="n">for</th><th>what to do</th></tr></thead><tbody>{now.rules.map((rule) => <tr key={rule.name}><td>{rule.name}</td><td>{rule.severity}</td><td><code>{rule.when}</code></td><td class="n">{rule.hold} s</td><td>{rule.meaning} {rule.fix}</td></tr>)}</tbody></table>
    <Same command={now.command} /></>}</Told></>;
}
