"use strict";
// Fetches what changes every two seconds. The page is whole without this script: reload it by hand then.
(() => {
  const main = document.querySelector("main");
  const live = document.querySelector("#live");
  let misses = 0;
  const refresh = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch("main.html", { cache: "no-store" });
        if (!answer.ok) throw new Error(String(answer.status));
        const text = await answer.text();
        const open = new Set([...main.querySelectorAll("details[open]")].map((one) => one.id));
        main.innerHTML = text;
        for (const id of open) document.getElementById(id)?.setAttribute("open", "");
        misses = 0;
        live.textContent = "live";
      } catch (error) {
        misses += 1;
        live.textContent = misses > 1 ? "the supervisor does not answer" : "live";
      }
    }
    setTimeout(refresh, 2000);
  };
  live.textContent = "live";
  setTimeout(refresh, 2000);
})();
