"use strict";
// Keeps the page as it is now: one stream of server-sent events, one second apart. The page is whole without this script.
(() => {
  const LEAST_MS = 1000, MOST_MS = 20000, SILENT_MS = 20000;
  const live = document.querySelector("#live");
  const charts = [
    new Chart(document.querySelector("#chart-requests"), ["requests"], { isFilled: true, empty: "no requests yet" }),
    new Chart(document.querySelector("#chart-latency"), ["p99", "p95", "p50"], { isTime: true, empty: "no requests yet" }),
    new Chart(document.querySelector("#chart-errors"), ["4xx", "5xx"], { isFilled: true, empty: "no errors" }),
  ];
  for (const chart of charts) chart.onMoment = (moment) => charts.forEach((one) => one.read(moment));
  let columns = [], marks = [], stream = null, wait = LEAST_MS, retry = null, silence = null;

  const say = (kind, text) => {
    if (live.className !== `live ${kind}`) live.className = `live ${kind}`;
    const said = live.querySelector(".said");
    if (said.textContent !== text) said.textContent = text;
  };

  // Makes `now` what `then` is, touching only what differs: focus, opened details and scrolled places stay as they are.
  const morph = (now, then) => {
    if (now.nodeType !== then.nodeType || now.nodeName !== then.nodeName || now.id !== then.id) {
      now.replaceWith(then);
      return;
    }
    if (now.nodeType !== Node.ELEMENT_NODE) {
      if (now.nodeValue !== then.nodeValue) now.nodeValue = then.nodeValue;
      return;
    }
    for (const { name } of [...now.attributes]) if (!then.hasAttribute(name) && name !== "open") now.removeAttribute(name);
    for (const { name, value } of then.attributes) if (now.getAttribute(name) !== value) now.setAttribute(name, value);
    morphInside(now, then);
  };
  const morphInside = (now, then) => {
    const olds = [...now.childNodes], news = [...then.childNodes];
    news.forEach((one, index) => (index < olds.length ? morph(olds[index], one) : now.append(one)));
    olds.slice(news.length).forEach((one) => one.remove());
  };

  const show = (told) => {
    if (told.version !== undefined) {
      if (told.version !== document.body.dataset.version) return location.reload(); // the supervisor was upgraded
      columns = told.columns;
    } else if (told.columns.length) {
      columns = columns.filter((column) => column[0] < told.columns[0][0]).concat(told.columns).slice(-720);
    }
    marks = told.marks ?? marks;
    for (const [id, html] of Object.entries(told.sections)) {
      const made = document.createElement("template");
      made.innerHTML = html; // rendered and escaped by the server; the page's policy runs no script in it
      morphInside(document.getElementById(id), made.content);
    }
    if (document.title !== told.title) document.title = told.title;
    for (const chart of charts) chart.show(columns, marks, told.now);
  };

  const close = () => {
    stream?.close();
    stream = null;
    clearTimeout(retry);
    clearTimeout(silence);
  };
  const fail = () => {
    close();
    say("lost", "not connected");
    // a little by chance, so that all who watch do not come back at once
    retry = setTimeout(open, wait * (0.75 + Math.random() / 2));
    wait = Math.min(MOST_MS, wait * 2);
  };
  const open = () => {
    close();
    stream = new EventSource("live");
    silence = setTimeout(fail, SILENT_MS);
    stream.onerror = fail;
    stream.onmessage = (event) => {
      clearTimeout(silence);
      silence = setTimeout(fail, SILENT_MS);
      show(JSON.parse(event.data));
      wait = LEAST_MS;
      say("on", "live");
    };
  };
  // who is not seen asks for nothing
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return open();
    close();
    say("", "paused");
  });
  addEventListener("online", () => open());
  open();
})();
