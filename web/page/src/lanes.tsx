// Swimlanes: time across, a lane an agent, a dot a commit, lines from causes to what they caused.
import type { JSX } from "preact";
import type { Row } from "./api";
import { clock, span, visible } from "./parts";

const LANE = 44, LEFT = 150, WIDTH = 860;

export function Lanes({ rows, chosen, critical, onChoose }: {
  rows: Row[]; chosen: string; critical: ReadonlySet<string>; onChoose: (point: string) => void;
}): JSX.Element {
  const agents = [...new Set(rows.map((row) => row.agent))];
  const times = rows.map((row) => row.micros);
  const first = Math.min(...times), long = Math.max(...times) - first || 1;
  const place = new Map(rows.map((row): [string, { x: number; y: number }] => {
    const x = LEFT + 20 + ((row.micros - first) / long) * WIDTH;
    return [`${row.agent}@${row.revision}`, { x, y: 30 + LANE * agents.indexOf(row.agent) }];
  }));
  const height = 40 + LANE * agents.length;
  return <svg class="lanes" viewBox={`0 0 ${LEFT + WIDTH + 50} ${height}`} role="group" aria-label={`${rows.length} commits of ${agents.length} agents in ${span(long)}`}>
    {agents.map((agent, lane) => <g key={agent}>
      <text x="6" y={34 + LANE * lane}>{visible(agent)}</text>
      <line class="lane" x1={LEFT} x2={LEFT + WIDTH + 40} y1={30 + LANE * lane} y2={30 + LANE * lane} />
    </g>)}
    {rows.map((row) => {
      const here = place.get(`${row.agent}@${row.revision}`)!, from = place.get(row.cause);
      if (!from) return null;
      const hot = critical.has(`${row.agent}@${row.revision}`) && critical.has(row.cause);
      const middle = (from.x + here.x) / 2;
      return <path key={`${row.agent}@${row.revision}`} class={`arrow ${hot ? "hot" : ""}`} d={`M${from.x} ${from.y} C${middle} ${from.y} ${middle} ${here.y} ${here.x} ${here.y}`} />;
    })}
    {rows.map((row) => {
      const point = `${row.agent}@${row.revision}`, at = place.get(point)!;
      return <circle key={point} class={`dot ${row.outcome} ${point === chosen ? "chosen" : ""} ${critical.has(point) ? "hot" : ""}`} cx={at.x} cy={at.y} r={point === chosen ? 8 : 5.5}
        data-point={point} tabIndex={0} role="button" aria-label={`${point} ${row.name} ${row.outcome}`} onClick={() => onChoose(point)}
        onKeyDown={(event) => { if (event.key === "Enter") onChoose(point); }}>
        <title>{visible(`${point} ${row.name} ${row.outcome} ${clock(row.micros)}`)}</title>
      </circle>;
    })}
  </svg>;
}
