// What every scenario program in Node.js has, as cases.py has it for Python: where Hive is, its cases, and the stage behind
// Hive. It can reach this machine alone.
import dns from 'node:dns';
import net from 'node:net';
import { createInterface } from 'node:readline';

export const URL = process.env.HIVE_URL;
export const KEY = process.env.HIVE_KEY;
export const MODEL = 'hive-nano';

const LOOPBACK = ['127.0.0.1', '::1', 'localhost', undefined];

function staysHere(what, host) {
  if (LOOPBACK.includes(host)) return;
  console.trace(`${what} ${host}: a client may reach this machine alone`);
  process.exit(70);
}

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  const asked = Array.isArray(args[0]) ? args[0][0] : args[0];
  staysHere('connects to', asked?.host ?? (typeof args[1] === 'string' ? args[1] : undefined));
  return connect.apply(this, args);
};
const lookup = dns.lookup;
dns.lookup = (host, ...rest) => {
  staysHere('looks for', host);
  return lookup(host, ...rest);
};

const cases = { any: [], staged: [] };

// A case that holds with every model.
export const any = (name, check) => cases.any.push([name, check]);

// A case in which the stage decides what is said.
export const staged = (name, check) => cases.staged.push([name, check]);

// Runs the cases of the kind that the command names and tells of each.
export async function run() {
  for (const [name, check] of cases[process.argv[2]]) {
    let error = null;
    try {
      await check();
    } catch (thrown) {
      error = thrown instanceof Error ? `${thrown.stack}\n${JSON.stringify(thrown.cause ?? null)}` : String(thrown);
    }
    tell({ case: name, error });
  }
  answers.close();
  process.stdin.destroy();
}

const answers = createInterface({ input: process.stdin });
const lines = answers[Symbol.asyncIterator]();

function tell(words) {
  process.stdout.write(`${JSON.stringify(words)}\n`);
}

async function ask(what, terms = {}) {
  tell({ ask: what, ...terms });
  const answer = JSON.parse((await lines.next()).value);
  if (answer.wrong) throw new Error(answer.wrong);
  return answer;
}

// Behind Hive: decides what the workers do and waits for what they hear; see cases.py. Only in staged cases.
export const stage = {
  says: (texts, { chunk = 4, then = 'done', late = false } = {}) =>
    ask('says', { texts: [texts].flat(), chunk, then, late }),
  offered: () => ask('offered'),
  thinks: () => ask('thinks'),
  goesOn: (after_s = 0) => ask('goes_on', { after_s }),
  toldOfSilence: (after_s) => ask('told_of_silence', { after_s }),
  noneOffered: async () => (await ask('none_offered')).none,
  waiting: async () => (await ask('waiting')).job_id,
  cancelled: (job_id) => ask('cancelled', { job_id }),
  job: (job_id) => ask('job', { job_id }),
  losing: async (how) => (await ask('losing', { how })).url,
};

// All that an iterable gives.
export async function all(iterable) {
  const got = [];
  for await (const one of iterable) got.push(one);
  return got;
}
