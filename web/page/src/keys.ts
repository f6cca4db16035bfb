// Keys that do something while nobody types.
import { useEffect, useRef } from "preact/hooks";

export function useKeys(keys: Record<string, () => void>): void {
  const now = useRef(keys);
  now.current = keys;
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      const at = event.target as HTMLElement;
      const types = at instanceof HTMLInputElement ? at.type !== "range" : at instanceof HTMLTextAreaElement || at.isContentEditable;
      if (types || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      const act = Object.hasOwn(now.current, event.key) ? now.current[event.key] : undefined;
      if (act) { event.preventDefault(); act(); }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
