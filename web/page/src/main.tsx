import { render, type JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Agents } from "./agents";
import { useNews } from "./api";
import { Causes } from "./causes";
import { History } from "./history";
import { useKeys } from "./keys";
import { Logs } from "./logs";
import { Overview } from "./overview";
import { PAGES, Palette } from "./palette";
import { Link, visible } from "./parts";
import { go, useRoute } from "./route";
import { Search } from "./search";
import { Alerts, Parked, Views, Waiting } from "./standing";
import "./style.css";
import { WhatIf } from "./whatif";

const HELP: [string, string][] = [
  ["Ctrl-K", "go to a page, an agent, a point"], ["← →", "one commit back, on"], ["Home End", "the beginning, the end"], ["s d c w", "state, changes, commit, why"],
  ["m", "mark, to compare with"], ["/ n N", "a condition; its next, its earlier commit"], ["x X", "the chosen field's next change, the one before"], ["t", "dark or light"], ["?", "these keys"],
];

function Page(): JSX.Element {
  const route = useRoute();
  const [open, setOpen] = useState<"" | "palette" | "keys">("");
  const [standing, setStanding] = useState("…");
  useNews((news, connected) => setStanding(!connected ? "the console is away; trying again" : news.away ? `the server is away: ${news.away}` : "live"));
  const theme = (): void => {
    const dark = document.documentElement.dataset.theme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", dark ? "light" : "dark");
  };
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if ((event.ctrlKey || event.metaKey) && event.key === "k") { event.preventDefault(); setOpen("palette"); }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  useKeys({ "?": () => setOpen("keys"), t: theme });
  useEffect(() => { document.title = `${route.given.get("agent") ?? PAGES.find(([path]) => path === route.path)?.[1] ?? "History"} – Moonlet`; }, [route]);
  return <>
    <header>
      <b class="brand">Moonlet</b>
      <nav aria-label="pages">{PAGES.map(([path, title]) => <Link key={path} to={path} aria-current={path === route.path ? "page" : undefined}>{title}</Link>)}</nav>
      <span id="standing" role="status" class={standing === "live" ? "" : "bad"}>{visible(standing)}</span>
      <button onClick={() => setOpen("palette")} title="Ctrl-K">Go to …</button>
      <button onClick={theme} title="t" aria-label="dark or light">◐</button>
      <button onClick={() => setOpen("keys")} title="?" aria-label="keys">?</button>
    </header>
    <main>{show()}</main>
    {open === "palette" ? <Palette onClose={() => setOpen("")} /> : null}
    {open === "keys" ? <dialog ref={(box) => { if (box && !box.open) box.showModal(); }} onClose={() => setOpen("")} aria-label="keys">
      <table><tbody>{HELP.map(([key, does]) => <tr key={key}><td><kbd>{key}</kbd></td><td>{does}</td></tr>)}</tbody></table><form method="dialog"><button>Close</button></form></dialog> : null}
  </>;

  function show(): JSX.Element {
    switch (route.path) {
      case "/": return <Overview />;
      case "/agents": return <Agents route={route} />;
      case "/history": return <History route={route} />;
      case "/causes": return <Causes key={route.given.get("point")} route={route} />;
      case "/whatif": return <WhatIf key={route.given.get("point")} route={route} />;
      case "/waiting": return <Waiting route={route} />;
      case "/parked": return <Parked route={route} />;
      case "/views": return <Views route={route} />;
      case "/logs": return <Logs route={route} />;
      case "/alerts": return <Alerts />;
      case "/search": return <Search key={route.given.get("q")} route={route} />;
      default: return <p class="empty">There is nothing here. <button onClick={() => go("/")}>To the overview</button></p>;
    }
  }
}

const theme = localStorage.getItem("theme");
if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
render(<Page />, document.getElementById("page")!);
