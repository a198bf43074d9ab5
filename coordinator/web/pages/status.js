"use strict";

const EVERY_MS = 2000;
const PATIENCE_MS = 6000;
const whole = new Intl.NumberFormat("en");
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const money = new Intl.NumberFormat("en", { maximumFractionDigits: 7 });
const LEDGERS = {
  local: "Paid on a local ledger, which is for trying Hive out: it is not real money.",
  testnet: "Paid on Stellar’s test network: it is not real money.",
  stellar: "Paid on Stellar.",
  none: "This swarm pays nothing out.",
};

let lastHeard = null;

const byId = (id) => document.getElementById(id);

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function countryName(code) {
  try {
    return new Intl.DisplayNames(["en"], { type: "region" }).of(code);
  } catch {
    return code;
  }
}

function bytes(count) {
  if (!count) return "";
  return count >= 2 ** 30 ? `${tenths.format(count / 2 ** 30)} GiB` : `${tenths.format(count / 2 ** 20)} MiB`;
}

function showStatus(status) {
  const jobs = status.jobs;
  byId("active_nodes").textContent = whole.format(status.active_nodes);
  byId("computing_nodes").textContent = whole.format(status.computing_nodes);
  byId("waiting").textContent = whole.format(jobs.pending);
  byId("running").textContent = whole.format(jobs.assigned + jobs.computing);
  byId("completed").textContent = whole.format(jobs.completed);
  byId("tokens_per_second").textContent = tenths.format(status.tokens_per_second);
  byId("tokens_out").textContent = whole.format(status.tokens_out);
  byId("paid").textContent = money.format(status.total_tokens_distributed);
  byId("ledger").textContent = LEDGERS[status.ledger] || "";
  const others = [["failed", jobs.failed], ["timed out", jobs.timed_out], ["cancelled", jobs.cancelled]];
  byId("ended").textContent = `Not completed: ${others.map(([name, n]) => `${whole.format(n)} ${name}`).join(", ")}.`;
}

function workerCard(worker) {
  const card = make("li", "card");
  card.append(make("span", worker.running ? "state busy" : "state ready", worker.running ? "computing" : "ready"));
  card.append(make("h3", worker.handle ? "" : "key", worker.handle || `${worker.pk.slice(0, 12)}…`));
  const gpus = worker.hardware.gpus.map((gpu) => gpu.name);
  const parts = [gpus.length ? gpus.join(", ") : worker.hardware.cpu, bytes(worker.hardware.memory_total)];
  card.append(make("p", "", parts.filter(Boolean).join(", ")));
  const slots = `${worker.running} of ${worker.slots} slots in use`;
  card.append(make("p", "", `${worker.tier}, ${slots}, ${worker.models.map((model) => model.id).join(", ") || "no model"}`));
  return card;
}

function showWorkers(workers) {
  const online = workers.filter((worker) => worker.online);
  const places = new Map();
  for (const worker of online) {
    const list = places.get(worker.cell) || [];
    list.push(worker);
    places.set(worker.cell, list);
  }
  const parts = [];
  for (const [cell, list] of [...places].sort()) {
    const title = make("p", "place", list[0].countries.map(countryName).join(" / ") || "At sea");
    title.append(" ", make("span", "cell", cell));
    const cards = make("ul", "cards");
    cards.append(...list.map(workerCard));
    parts.push(title, cards);
  }
  byId("places").replaceChildren(...parts);
  byId("workers-none").hidden = online.length > 0;
}

function showModels(models) {
  const cards = models.map((model) => {
    const card = make("li", "card");
    card.append(make("span", model.workers_online ? "state ready" : "state", model.workers_online ? "online" : "offline"));
    card.append(make("h3", "", model.id));
    const workers = `${whole.format(model.workers_online)} ${model.workers_online === 1 ? "worker" : "workers"}`;
    card.append(make("p", "", `${workers}, context ${whole.format(model.context_length)}, ${model.file_type}, ${bytes(model.size_bytes)}`));
    return card;
  });
  byId("models").replaceChildren(...cards);
  byId("models-none").hidden = models.length > 0;
}

async function read(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function showContact(ok) {
  const contact = byId("contact");
  contact.classList.toggle("lost", !ok);
  document.body.classList.toggle("stale", !ok);
  if (ok) {
    contact.textContent = "Live";
  } else {
    contact.textContent = lastHeard
      ? `Contact lost: these are the numbers of ${lastHeard.toLocaleTimeString()}. Trying again.`
      : "The coordinator does not answer. Trying again.";
  }
}

async function refresh() {
  setTimeout(refresh, EVERY_MS);
  let heard;
  try {
    heard = await Promise.all([read("/hive/status"), read("/hive/workers"), read("/hive/models")]);
  } catch {
    showContact(false);
    return;
  }
  const [status, workers, models] = heard;
  showStatus(status);
  showWorkers(workers.data);
  showModels(models.data);
  lastHeard = new Date();
  showContact(true);
}

refresh();
