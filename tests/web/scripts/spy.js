// What a page from elsewhere can learn of the console at `base`: by every way that a browser has.
async (base) => {
  const found = {};
  for (const mode of ["cors", "no-cors"]) {
    found[mode] = await fetch(`${base}/api/agents`, { credentials: "include", mode }).then(
      async (answer) => `${answer.status} ${await answer.text()}`, () => "refused");
  }
  found.post = await fetch(`${base}/api/agents`, { method: "POST", credentials: "include", body: "x" }).then(
    (answer) => answer.status, () => "refused");
  found.events = await new Promise((done) => {
    const stream = new EventSource(`${base}/api/live`, { withCredentials: true });
    stream.onmessage = () => done("heard");
    stream.onerror = () => { stream.close(); done("refused"); };
  });
  found.socket = await new Promise((done) => {
    const socket = new WebSocket(`${base.replace("http", "ws")}/api/live`);
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
  });
  found.script = await new Promise((done) => {
    const script = document.createElement("script");
    script.src = `${base}/app.js`;
    script.onload = () => done("ran");
    script.onerror = () => done("refused");
    document.head.append(script);
  });
  found.frame = await new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.src = `${base}/agents`;
    frame.onload = () => {
      let text = "";
      try { text = frame.contentDocument?.body.innerText ?? ""; } catch { /* another origin */ }
      done(text.includes("till") ? "seen" : "refused");
    };
    document.body.append(frame);
  });
  return found;
}
