// What of this a page of ours refuses: each would make code or markup of a text.
() => {
  const attempts = {
    markup: () => { document.body.innerHTML = "<b>x</b>"; },
    write: () => { document.write("<b>x</b>"); },
    script: () => { document.createElement("script").text = "1"; },
    address: () => { document.createElement("script").src = "data:text/javascript,1"; },
    frame: () => { document.createElement("iframe").srcdoc = "<b>x</b>"; },
    policy: () => { window.trustedTypes.createPolicy("default", { createHTML: (text) => text }); },
  };
  const made = [];
  for (const [name, attempt] of Object.entries(attempts)) {
    try { attempt(); made.push(name); } catch { /* as it should */ }
  }
  return made;
}
