// Asking the console, and being told what happens. Of questions that follow each other fast the last one counts.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

export interface Row {
  agent: string; revision: number; micros: number; outcome: string; name: string; body: string; reason: string;
  sender: string; events: string[]; effects: string[]; correlation: string; cause: string; how: string;
}

export interface Line {
  depth: number; label: string; path: string; text: string; mark: string; before: string; count: number;
}

export class Refused extends Error {
  constructor(readonly kind: string, message: string) { super(message); }
}

export type Given = Record<string, string | number | undefined>;

export const query = (given: Given): string => {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) if (value !== undefined && value !== "") found.set(name, String(value));
  return found.toString();
};

export async function ask<T>(name: string, given: Given = {}, signal?: AbortSignal): Promise<T> {
  const answer = await fetch(`/api/${name}?${query(given)}`, { signal }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new Refused("Away", "the console can't be reached: is `moonlet web` still running?");
  });
  if (answer.ok) return (await answer.json()) as T;
  if (answer.status === 401) throw new Refused("Closed", "this browser is not let in: open the address that moonlet web printed last");
  const told = (await answer.json().catch(() => ({}))) as { error?: string; message?: string };
  throw new Refused(told.error ?? String(answer.status), told.message ?? "no answer");
}

export interface Answered<T> { value?: T; error?: Refused; busy: boolean; again: () => void }

// What a question is answered now. While the next answer is under way the last one stays.
export function useAnswer<T>(name: string, given: Given | null, every = 0): Answered<T> {
  const [found, setFound] = useState<{ value?: T; error?: Refused; busy: boolean }>({ busy: true });
  const [turn, setTurn] = useState(0);
  const key = given === null ? null : query(given);
  const shown = useRef<string | undefined>(undefined);
  useLayoutEffect(() => {
    if (given === null) { setFound({ busy: false }); return; }
    const stop = new AbortController();
    if (shown.current !== name) setFound({ busy: true });
    else setFound((before) => ({ ...before, busy: true }));
    shown.current = name;
    ask<T>(name, given, stop.signal).then(
      (value) => { if (!stop.signal.aborted) setFound({ value, busy: false }); },
      (error: unknown) => { if (!stop.signal.aborted) setFound((before) => ({ value: every ? before.value : undefined, error: error as Refused, busy: false })); },
    );
    return () => stop.abort();
  }, [name, key, turn]);
  useEffect(() => {
    if (!every || given === null) return;
    const timer = setInterval(() => { if (!document.hidden) setTurn((before) => before + 1); }, every);
    return () => clearInterval(timer);
  }, [name, key, every]);
  return { ...found, again: () => setTurn((before) => before + 1) };
}

export interface News { total: number; rows: Row[]; outcomes: Record<string, number>; away: string }
type Heard = (news: News, connected: boolean) => void;

const listeners = new Set<Heard>();
let stream: EventSource | undefined;

// One stream for the whole page: a browser opens six at most.
export function useNews(heard: Heard): void {
  const now = useRef(heard);
  now.current = heard;
  useEffect(() => {
    const tell: Heard = (news, connected) => now.current(news, connected);
    listeners.add(tell);
    if (!stream) {
      stream = new EventSource("/api/live");
      stream.onmessage = (event) => {
        const news = JSON.parse(event.data as string) as News;
        for (const each of listeners) each(news, true);
      };
      stream.onerror = () => {
        for (const each of listeners) each({ total: 0, rows: [], outcomes: {}, away: "" }, false);
      };
    }
    return () => { listeners.delete(tell); };
  }, []);
}
