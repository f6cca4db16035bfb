// Where the page is: path and query, so that every place has an address to hand on.
import { useEffect, useState } from "preact/hooks";
import { query, type Given } from "./api";

export interface Route { path: string; given: URLSearchParams }

const here = (): Route => ({ path: location.pathname, given: new URLSearchParams(location.search) });
const moved = new Set<() => void>();

export const address = (path: string, given: Given = {}): string => {
  const told = query(given);
  return told ? `${path}?${told}` : path;
};

export function go(path: string, given: Given = {}, replace = false): void {
  const there = address(path, given);
  if (there === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", there);
  else history.pushState(null, "", there);
  for (const each of moved) each();
}

export function useRoute(): Route {
  const [route, setRoute] = useState(here);
  useEffect(() => {
    const look = (): void => setRoute(here());
    moved.add(look);
    addEventListener("popstate", look);
    return () => { moved.delete(look); removeEventListener("popstate", look); };
  }, []);
  return route;
}

// AGENT@REVISION, as commands write a commit.
export const historyOf = (point: string): string => {
  const at = point.lastIndexOf("@");
  return at < 0 ? address("/history", { agent: point }) : address("/history", { agent: point.slice(0, at), at: point.slice(at + 1) });
};
