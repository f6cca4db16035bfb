// One agent's history: a slider over all of it, its commits, and beside them what it held there.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ask, useAnswer, useNews, type Line, type Row } from "./api";
import { CommitList } from "./commit_list";
import { useKeys } from "./keys";
import { clock, Empty, Failure, Link, many, Outcome, Same, Told, visible } from "./parts";
import { address, go, here, historyOf, type Route } from "./route";
import { StateView } from "./state_view";

interface Change { path: string; kind: string; old: string; new: string }
interface State { revision: number; last: number; digest: string; lines: Line[]; cut: boolean; changes: Change[]; more: number; command: string; diff: string }
interface Head { last: number; known: boolean; command: string }

const TABS: [string, string][] = [["state", "State"], ["changes", "Changes"], ["commit", "Commit"], ["causes", "Why"]];

export function History({ route }: { route: Route }): JSX.Element {
  const agent = route.given.get("agent") ?? "";
  const head = useAnswer<Head>("history", { agent, count: 1 });
  const [grown, setGrown] = useState(0);
  useEffect(() => setGrown(0), [agent]);
  useNews((news) => {
    const mine = news.rows.filter((row) => row.agent === agent);
    if (mine.length) setGrown((before) => Math.max(before, ...mine.map((row) => row.revision)));
    else if (news.total > news.rows.length) head.again();
  });
  return <Told of={head}>{(now) => <Open key={agent} agent={agent} last={Math.max(now.last, grown)} known={now.known} command={now.command} route={route} />}</Told>;
}

function Open({ agent, last, known, command, route }: { agent: string; last: number; known: boolean; command: string; route: Route }): JSX.Element {
  const told = route.given.get("at");
  const at = Math.min(told === null ? last : Number(told) || 0, last);
  const tab = route.given.get("tab") ?? (known ? "state" : "commit");
  const mark = route.given.has("mark") ? Number(route.given.get("mark")) : undefined;
  const condition = route.given.get("if") ?? "";
  const path = route.given.get("path") ?? "";
  const [typed, setTyped] = useState(condition);
  const [said, setSaid] = useState("");
  useEffect(() => setTyped(condition), [condition]);

  const to = (change: Record<string, string | number | undefined>, replace = true): void =>
    go("/history", here(change), replace);
  const step = (by: number): void => { setSaid(""); to({ at: Math.max(0, Math.min(last, at + by)) }); };
  const stop = (given: { at?: string; path?: string }, back: boolean): void => {
    setSaid("looking …");
    ask<{ revision: number | null }>("stop", { agent, revision: at, ...given, back: back ? 1 : undefined }).then(
      (found) => { setSaid(found.revision === null ? `no ${back ? "earlier" : "later"} one` : ""); if (found.revision !== null) to({ at: found.revision }); },
      (error: unknown) => setSaid((error as Error).message),
    );
  };
  useKeys({
    ArrowLeft: () => step(-1), ArrowRight: () => step(1), k: () => step(-1), j: () => step(1), PageUp: () => step(-20), PageDown: () => step(20),
    Home: () => to({ at: 0 }), End: () => to({ at: undefined }),
    s: () => to({ tab: "state" }), d: () => to({ tab: "changes" }), c: () => to({ tab: "commit" }), w: () => to({ tab: "causes" }),
    m: () => to({ mark: mark === at ? undefined : at }),
    n: () => { if (condition) stop({ at: condition }, false); }, N: () => { if (condition) stop({ at: condition }, true); },
    x: () => { if (path) stop({ path }, false); }, X: () => { if (path) stop({ path }, true); },
    "/": () => document.querySelector<HTMLInputElement>("#condition")?.focus(),
  });
  return <>
    <h1>{visible(agent)} <small>{at === last ? "at its end, " : ""}revision {many(at)} of {many(last)}</small></h1>
    <div class="scrub">
      <input id="slider" type="range" aria-label="revision" min={0} max={last} value={at} onInput={(event) => to({ at: Number(event.currentTarget.value) })} />
      <form onSubmit={(event) => { event.preventDefault(); to({ if: typed }, false); }}>
        <input id="condition" aria-label="a condition, a command or an event to stop at" placeholder="state.cash < 0, or the name of a command or event" value={typed}
          onInput={(event) => setTyped(event.currentTarget.value)} />
        <button id="earlier" type="button" disabled={!typed} onClick={() => { to({ if: typed }); stop({ at: typed }, true); }} title="N">◀ earlier</button>
        <button id="later" type="button" disabled={!typed} onClick={() => { to({ if: typed }); stop({ at: typed }, false); }} title="n">later ▶</button>
        <output>{visible(said)}</output>
      </form>
    </div>
    <div class="both">
      <CommitList agent={agent} last={last} at={at} mark={mark} condition={/^[A-Za-z_]\w*$/.test(condition) ? "" : condition} onGo={(revision) => to({ at: revision })} />
      <section class="panel">
        <div class="tabs" role="tablist">{TABS.map(([name, title]) =>
          <button key={name} role="tab" aria-selected={tab === name} onClick={() => to({ tab: name })}>{title}</button>)}
          {mark !== undefined ? <span class="dim">marked: {many(mark)}</span> : null}</div>
        {tab === "state" || tab === "changes"
          ? known ? <Held agent={agent} at={at} mark={mark} tab={tab} path={path} onPath={(chosen) => to({ path: chosen === path ? undefined : chosen })} onStop={stop} />
            : <Failure error={{ kind: "unknown code", message: `the code of ${agent} is not known here: start the console with --module`, name: "" }} />
          : at === 0 ? <Empty>before the first commit</Empty> : tab === "commit" ? <Commit agent={agent} revision={at} /> : <Why point={`${agent}@${at}`} />}
      </section>
    </div>
    <Same command={command} />
  </>;
}

function Held({ agent, at, mark, tab, path, onPath, onStop }: {
  agent: string; at: number; mark?: number; tab: string; path: string; onPath: (path: string) => void; onStop: (given: { path: string }, back: boolean) => void;
}): JSX.Element {
  const found = useAnswer<State>("state", { agent, revision: at, against: mark });
  return <Told of={found}>{(now) => <>
    {now.revision !== at ? <Empty>a repair left this revision out: this is the state after {many(now.revision)}</Empty> : null}
    {tab === "state" ? <StateView lines={now.lines} cut={now.cut} chosen={path} onChoose={onPath} />
      : now.changes.length ? <table class="changes"><tbody>{now.changes.map((each) => <tr key={each.path}>
        <td class={each.kind}>{each.kind}</td><td><button class="name" onClick={() => onPath(each.path)}>{visible(each.path)}</button></td>
        <td>{each.kind === "added" ? "" : visible(each.old)}</td><td>{each.kind === "removed" ? "" : `→ ${visible(each.new)}`}</td></tr>)}</tbody></table>
        : <Empty>{mark === undefined ? "this commit changed nothing in the state" : "both hold the same"}</Empty>}
    {now.more ? <Empty>and {many(now.more)} more changes</Empty> : null}
    {path ? <WhyValue agent={agent} at={at} path={path} onStop={onStop} /> : tab === "state" ? <p class="dim">Choose a field to see why it has its value.</p> : null}
    <Same command={tab === "state" ? now.command : now.diff} />
  </>}</Told>;
}

interface Leaf { path: string; value: string; commit: Row | null }

function WhyValue({ agent, at, path, onStop }: { agent: string; at: number; path: string; onStop: (given: { path: string }, back: boolean) => void }): JSX.Element {
  const found = useAnswer<{ leaves: Leaf[]; more: number; command: string }>("why", { agent, revision: at, path });
  return <div class="whyvalue" id="why-value"><h2>Why {visible(path)} has this value</h2>
    <Told of={found}>{(now) => <>
      <table><tbody>{now.leaves.slice(0, 50).map((leaf) => <tr key={leaf.path}><td>{visible(leaf.path)}</td><td class="cut">{visible(leaf.value)}</td>
        <td>{leaf.commit ? <><Link to={historyOf(`${leaf.commit.agent}@${leaf.commit.revision}`)}>@{leaf.commit.revision}</Link> <Outcome is={leaf.commit.outcome} /> {visible(leaf.commit.name)}
          {leaf.commit.cause ? <> {leaf.commit.how} by <Link to={historyOf(leaf.commit.cause)}>{visible(leaf.commit.cause)}</Link></> : ` from ${visible(leaf.commit.sender || "outside")}`}</> : "as at first"}</td></tr>)}</tbody></table>
      {now.leaves.length > 50 || now.more ? <Empty>and more: choose a field further inside</Empty> : null}
      <p><button onClick={() => onStop({ path }, true)} title="X">◀ its change before</button> <button onClick={() => onStop({ path }, false)} title="x">its next change ▶</button></p>
      <Same command={now.command} />
    </>}</Told></div>;
}

function Commit({ agent, revision }: { agent: string; revision: number }): JSX.Element {
  const found = useAnswer<{ row: Row; text: string; traceback: string; command: string }>("commit", { agent, revision });
  return <Told of={found}>{(now) => <>
    <p><Outcome is={now.row.outcome} /> <b>{visible(now.row.name)}</b> {clock(now.row.micros)} {now.row.reason ? <em>{visible(now.row.reason)}</em> : null}</p>
    {now.traceback ? <pre class="traceback">{visible(now.traceback)}</pre> : null}
    <pre>{visible(now.text)}</pre><Same command={now.command} /></>}</Told>;
}

function Why({ point }: { point: string }): JSX.Element {
  const found = useAnswer<{ why: Row[]; missing: string; why_command: string; correlation: string }>("causes", { point });
  return <Told of={found}>{(now) => <>
    <ol class="chain">{now.why.map((row, depth) => <li key={depth} style={{ marginLeft: `${Math.min(depth, 20) * 0.8}em` }}>
      <Link to={historyOf(`${row.agent}@${row.revision}`)}>{`${row.agent}@${row.revision}`}</Link> <Outcome is={row.outcome} /> <b>{visible(row.name)}</b> <span class="cut">{visible(row.body)}</span>
      <div class="dim">{row.cause ? `${row.how} by ${row.cause}` : `from outside, by ${visible(row.sender) || "somebody without a name"}`}</div></li>)}</ol>
    {now.missing ? <Empty>whose cause {now.missing}</Empty> : null}
    <p><Link to={address("/causes", { point })}>The whole conversation as swimlanes</Link> · <Link to={address("/whatif", { point })}>What if this had not been</Link></p>
    <Same command={now.why_command} />
  </>}</Told>;
}
