"use strict";

const euros = (cents) => (cents / 100).toFixed(2) + " €";
const place = (id) => document.getElementById(id);

async function ask(path, options = {}) {
  const answer = await fetch(path, options);
  place("worker").textContent = "worker " + answer.headers.get("X-Kirsch-Worker");
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(answer.status + " " + answer.statusText);
  return said;
}

function post(path, value) {
  return ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) });
}

function show(cart) {
  const lines = Object.entries(cart.items).map(([sku, count]) => count + " × " + sku);
  place("cart").textContent = lines.length ? lines.join(", ") + ": " + euros(cart.cents) : "empty";
}

function say(promise, text) {
  promise.then((said) => { place("said").textContent = text(said); }, (error) => { place("said").textContent = error.message; });
}

document.querySelectorAll("[data-sku]").forEach((button) => {
  button.addEventListener("click", () => say(post("/api/cart", { items: { [button.dataset.sku]: 1 } }).then(show), () => ""));
});
place("order").addEventListener("click", () => {
  say(ask("/api/order", { method: "POST" }).then((said) => { show({ items: {} }); return said; }), (said) => "order " + said.order + " placed: " + euros(said.cents));
});
place("upload").addEventListener("submit", (event) => {
  event.preventDefault();
  say(ask("/upload", { method: "POST", body: new FormData(event.target) }), (said) => said.name + ": " + said.bytes + " bytes kept");
});
ask("/api/cart").then(show, () => {});
