// Small parts that all pages are made of. Texts come from anybody: they only ever become text nodes.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import type { Answered, Refused } from "./api";
import { go } from "./route";

export function Link({ to, children, ...rest }: { to: string; children: ComponentChildren; class?: string; "aria-current"?: "page" }): JSX.Element {
  const click = (event: MouseEvent): void => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    const url = new URL(to, location.href);
    go(url.pathname, Object.fromEntries(url.searchParams));
  };
  return <a href={to} onClick={click} {...rest}>{children}</a>;
}

export function Failure({ error }: { error?: Refused }): JSX.Element | null {
  return error ? <p class="failure" role="alert"><b>{error.kind}</b> {visible(error.message)}</p> : null;
}

// The command that does the same.
export function Same({ command }: { command?: string }): JSX.Element | null {
  const [copied, setCopied] = useState(false);
  if (!command) return null;
  const copy = (): void => {
    void navigator.clipboard?.writeText(command).then(() => { setCopied(true); setTimeout(() => setCopied(false), 1500); }, () => undefined);
  };
  return <p class="same"><code>{visible(command)}</code><button onClick={copy} title="Copy the command that tells the same">{copied ? "copied" : "copy"}</button></p>;
}

export function Told<T>({ of, children }: { of: Answered<T>; children: (value: T) => ComponentChildren }): JSX.Element {
  return <>
    <Failure error={of.error} />
    {of.value !== undefined ? children(of.value) : !of.error && of.busy ? <p class="busy">reading …</p> : null}
  </>;
}

export function Outcome({ is }: { is: string }): JSX.Element {
  return <span class={`outcome ${/^[a-z]+$/.test(is) ? is : ""}`}>{is}</span>;
}

export function Empty({ children }: { children: ComponentChildren }): JSX.Element {
  return <p class="empty">{children}</p>;
}

// What would turn the direction of text, or can't be seen, is shown as its code.
export const visible = (text: string): string =>
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);

export const clock = (micros: number): string =>
  micros ? new Date(micros / 1000).toISOString().replace("T", " ").replace("Z", "") : "";

export const span = (micros: number): string => {
  const by = Math.abs(micros);
  if (by < 1e3) return `${micros} µs`;
  if (by < 1e6) return `${(micros / 1e3).toFixed(1)} ms`;
  if (by < 12e7) return `${(micros / 1e6).toFixed(1)} s`;
  const minutes = Math.round(micros / 6e7);
  return minutes < 120 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
};

export const many = (count: number): string => count.toLocaleString("en");
