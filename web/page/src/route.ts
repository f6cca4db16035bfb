// Where the page is: path and query, so that every place has an address to hand on.
import { useEffect, useState } from "preact/hooks";
import { query, type Given } from "./api";

export interface Route { path: string; given: URLSearchParams }

const read = (): Route => ({ path: location.pathname, given: new URLSearchParams(location.search) });
const moved = new Set<() => void>();
let current = read();
let writing = 0;
addEventListener("popstate", () => { clearTimeout(writing); current = read(); tell(); });

const tell = (): void => { for (const each of moved) each(); };
const write = (): void => { clearTimeout(writing); history.replaceState(null, "", address(current.path, Object.fromEntries(current.given))); };

export const address = (path: string, given: Given = {}): string => {
  const told = query(given);
  return told ? `${path}?${told}` : path;
};

// What is asked for here, with some of it changed.
export const here = (change: Given): Given => ({ ...Object.fromEntries(current.given), ...change });

// The address follows what is shown a moment later: browsers take only so many changes of it in a second.
export function go(path: string, given: Given = {}, replace = false): void {
  if (address(path, given) === address(current.path, Object.fromEntries(current.given))) return;
  if (!replace) write();
  current = { path, given: new URLSearchParams(query(given)) };
  if (replace) {
    clearTimeout(writing);
    writing = window.setTimeout(write, 200);
  } else history.pushState(null, "", address(path, given));
  tell();
}

export function useRoute(): Route {
  const [route, setRoute] = useState(current);
  useEffect(() => {
    const look = (): void => setRoute(current);
    moved.add(look);
    return () => { moved.delete(look); };
  }, []);
  return route;
}

// AGENT@REVISION, as commands write a commit.
export const historyOf = (point: string): string => {
  const at = point.lastIndexOf("@");
  return at < 0 ? address("/history", { agent: point }) : address("/history", { agent: point.slice(0, at), at: point.slice(at + 1) });
};
