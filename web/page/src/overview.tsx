import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useAnswer, useNews, type Row } from "./api";
import { clock, Empty, Link, many, Outcome, Same, Told, visible } from "./parts";
import { Rate } from "./rate";
import { historyOf } from "./route";

interface Host { host: string; types: string[]; partitions: string[]; gone?: boolean; started?: number; versions?: Record<string, string> }
interface Figures { type: string; command: string; count: number; mean: number; p50: number; p95: number; p99: number }
interface Seen {
  source: string; live: boolean; journals: { stream: string; last: number }[]; types: string[]; hosts: Host[]; waiting: Record<string, number>;
  streams: { name: string; messages: number }[]; watched: number; command: string; oldest: { agent: string; seconds: number } | null;
  changes: { at: number; host: string; what: string }[]; firing: { rule: string; severity: string }[];
}

const NEWEST = 40;

export function Overview(): JSX.Element {
  const seen = useAnswer<Seen>("overview", {}, 1500);
  const speeds = useAnswer<{ commands: Figures[] }>("commands", (seen.value?.watched ?? 0) > 0 ? {} : null, 1500);
  const [rows, setRows] = useState<Row[]>([]);
  useNews((news) => { if (news.rows.length) setRows((before) => [...news.rows.slice().reverse(), ...before].slice(0, NEWEST)); });
  return <Told of={seen}>{(now) => {
    const commits = now.journals.reduce((sum, each) => sum + each.last, 0);
    return <>
      <h1>{visible(now.source)}</h1>
      <div class="tiles">
        <Tile name="commits" value={many(commits)} />
        <Tile name="hosts" value={now.live ? many(now.hosts.filter((host) => !host.gone).length) : "–"} bad={now.live && !now.hosts.some((host) => !host.gone)} />
        <Tile name="waiting commands" value={many(now.waiting.commands ?? 0)} to="/waiting" />
        <Tile name="oldest waiting" value={now.oldest ? `${now.oldest.seconds.toFixed(1)} s` : "–"} to="/waiting" bad={(now.oldest?.seconds ?? 0) > 5} />
        <Tile name="timers" value={many(now.waiting.timers ?? 0)} to="/waiting" />
        <Tile name="calls" value={many(now.waiting.calls ?? 0)} to="/waiting" />
        <Tile name="parked" value={many(now.waiting.parked ?? 0)} to="/parked" bad={(now.waiting.parked ?? 0) > 0} />
        <Tile name="alerts" value={now.watched ? many(now.firing.length) : "–"} to="/alerts" bad={now.firing.length > 0} />
      </div>
      <h2>Commits a second</h2>
      <Rate />
      {now.live ? <>
        <h2>Hosts</h2>
        {now.hosts.length ? <table><thead><tr><th>host</th><th>since</th><th>agent types</th><th>partitions</th></tr></thead>
          <tbody>{now.hosts.map((host) => <tr key={host.host} class={host.gone ? "bad" : ""}>
            <td>{visible(host.host)}{host.gone ? " (gone)" : ""}</td><td>{clock(host.started ?? 0).slice(0, 19)}</td>
            <td>{host.types.map((type) => visible(type + (host.versions?.[type] ? ` ${host.versions[type]}` : ""))).join(", ")}</td>
            <td>{host.partitions.join(", ")}</td></tr>)}</tbody></table> : <Empty>no host runs: start one with <code>moonlet run</code></Empty>}
        <h3>What became of them while this console ran</h3>
        {now.changes.length ? <ul class="changes" id="host-changes">{now.changes.slice().reverse().map((each) => <li key={each.at + each.host + each.what}>
          <time>{clock(each.at).slice(0, 23)}</time> <b>{visible(each.host)}</b> {each.what}</li>)}</ul> : <Empty>no host came or went</Empty>}
      </> : null}
      {now.watched ? <Told of={speeds}>{(found) => <>
        <h2>Commands, as the hosts measure them</h2>
        <table id="speeds"><thead><tr><th>agent type</th><th>command</th><th class="n">decided</th><th class="n">mean</th><th class="n">p50</th><th class="n">p95</th><th class="n">p99</th></tr></thead>
          <tbody>{found.commands.map((each) => <tr key={each.type + each.command}><td>{visible(each.type)}</td><td>{visible(each.command)}</td><td class="n">{many(each.count)}</td>
            {[each.mean, each.p50, each.p95, each.p99].map((seconds, n) => <td key={n} class="n">{(seconds * 1000).toFixed(seconds < 0.01 ? 2 : 0)} ms</td>)}</tr>)}</tbody></table>
      </>}</Told> : now.live ? <Empty>start the console with <code>--watch</code> and a host's address to see how fast its commands are</Empty> : null}
      <h2>Newest commits</h2>
      {rows.length ? <table><tbody>{rows.map((row) => <tr key={`${row.agent}@${row.revision}`}>
        <td class="t">{clock(row.micros).slice(11)}</td><td><Link to={historyOf(`${row.agent}@${row.revision}`)}>{`${row.agent}@${row.revision}`}</Link></td>
        <td><Outcome is={row.outcome} /></td><td>{visible(row.name)}</td><td class="cut">{visible(row.reason || row.body)}</td></tr>)}</tbody></table>
        : <Empty>{now.live ? "nothing was committed since this page was opened" : "a bundle does not move"}</Empty>}
      <h2>Journals</h2>
      <table><tbody>{now.journals.map((each) => <tr key={each.stream}><td>{each.stream}</td><td class="n">{many(each.last)}</td></tr>)}
        {now.streams.map((each) => <tr key={each.name}><td>{each.name}</td><td class="n">{many(each.messages)}</td></tr>)}</tbody></table>
      <Same command={now.command} />
    </>;
  }}</Told>;
}

function Tile({ name, value, to, bad }: { name: string; value: string; to?: string; bad?: boolean }): JSX.Element {
  const inner = <><b>{value}</b><span>{name}</span></>;
  return to ? <Link class={`tile ${bad ? "bad" : ""}`} to={to}>{inner}</Link> : <div class={`tile ${bad ? "bad" : ""}`}>{inner}</div>;
}
