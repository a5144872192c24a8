// Starts the real program on a free port with a data directory of its own, and asks it things as any client does.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

import { KILN, ROOT } from './tools.js';
import { SOON, until } from './wait.js';

/** @typedef {{ token?: string, serve?: string[], env?: Record<string, string> }} ServerOptions */
/** @typedef {{ metadata: any, spec?: any, status?: any, kind?: string, apiVersion?: string, data?: any, items?: any[] }} KubeObject */

/** How many lines of the server's log are kept for a test that fails. */
const LINES = 200;

export class Server {
  /** @type {import("node:child_process").ChildProcess | undefined} */
  #child;
  #port = 0;
  /** The last lines of its log. @type {string[]} */
  log = [];

  /**
   * @param {string} dir
   * @param {ServerOptions} options
   */
  constructor(dir, options) {
    this.dir = dir;
    this.options = options;
  }

  /** @param {ServerOptions} [options] */
  static async start(options = {}) {
    const server = new Server(await mkdtemp(path.join(tmpdir(), 'kiln-browser-')), options);
    await server.begin();
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts it on its data directory; after the first time on the same port, as an operator's restart would. */
  async begin() {
    const args = ['serve', '--listen', `127.0.0.1:${this.#port}`, '--data-dir', path.join(this.dir, 'data')];
    if (this.options.token !== undefined) {
      const file = path.join(this.dir, 'token');
      await writeFile(file, this.options.token, { mode: 0o600 });
      args.push('--token-file', file);
    }
    const child = spawn(KILN, [...args, ...(this.options.serve ?? [])], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...this.options.env },
    });
    this.#child = child;
    let failed = '';
    child.once('error', (error) => (failed = `${KILN} does not start: ${error.message}`));
    child.once('exit', (code, signal) => (failed ||= `ended by ${code ?? signal}`));
    let address = '';
    createInterface({ input: child.stderr }).on('line', (line) => {
      address ||= /address=\S*?:(\d+)/.exec(line)?.[1] ?? '';
      this.log.push(line);
      this.log.splice(0, this.log.length - LINES);
    });
    await until('the server says where it listens', () => address !== '' || failed !== '', { seen: () => this.log });
    if (failed !== '') {
      throw new Error(`the server: ${failed}\n${this.log.join('\n')}`);
    }
    this.#port = Number(address);
    await until('the server is ready', () => this.#ready(), { seen: () => this.log });
  }

  async #ready() {
    const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
    await answer?.arrayBuffer();
    return answer?.ok === true;
  }

  /** Ends it at once, as a crash does (SIGKILL), or in order (SIGTERM). @param {NodeJS.Signals} signal */
  async end(signal = 'SIGKILL') {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
      return;
    }
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  /** Ends it and removes what it kept. */
  async remove() {
    await this.end();
    await rm(this.dir, { recursive: true, force: true, maxRetries: 3 });
  }

  /**
   * One request; fails unless the answer says that it went well.
   *
   * @param {string} method
   * @param {string} at path and query
   * @param {BodyInit} [body]
   * @param {string} [type]
   * @returns {Promise<any>} JSON, or text that is none
   */
  async ask(method, at, body, type = 'application/yaml') {
    const headers = new Headers(body === undefined ? {} : { 'Content-Type': type });
    if (this.options.token !== undefined) {
      headers.set('Authorization', `Bearer ${this.options.token}`);
    }
    const answer = await fetch(this.url + at, { method, headers, body, signal: AbortSignal.timeout(SOON) });
    const text = await answer.text();
    if (!answer.ok) {
      throw new Error(`${method} ${at}: ${answer.status} ${text}`);
    }
    return answer.headers.get('Content-Type')?.includes('json') ? JSON.parse(text) : text;
  }

  /** @param {string} at @returns {Promise<any>} */
  get(at) {
    return this.ask('GET', at);
  }

  /** @param {string} name @param {Uint8Array} module */
  push(name, module) {
    return this.ask('PUT', `/modules/${name}`, /** @type {BodyInit} */ (module), 'application/wasm');
  }

  /** Pushes modules of guest-examples under their names. @param {...string} names */
  async pushExamples(...names) {
    for (const name of names) {
      await this.push(name, await readFile(example(name)));
    }
  }

  /** @param {KubeObject | string} job an object, or YAML @param {string} [namespace] @returns {Promise<KubeObject>} */
  createJob(job, namespace = 'default') {
    const at = `/apis/batch/v1/namespaces/${namespace}/jobs`;
    return typeof job === 'string'
      ? this.ask('POST', at, job)
      : this.ask('POST', at, JSON.stringify(job), 'application/json');
  }

  /** Makes many Jobs, some at a time, with less effort per request than `fetch` takes. @param {KubeObject[]} jobs */
  async createJobs(jobs) {
    const agent = new Agent({ keepAlive: true, maxSockets: 64 });
    const at = `${this.url}/apis/batch/v1/namespaces/default/jobs`;
    const post = (/** @type {KubeObject} */ job) =>
      new Promise((resolve, reject) => {
        const body = JSON.stringify(job);
        const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
        const sent = request(at, { method: 'POST', agent, headers }, (answer) => {
          answer.resume();
          answer.on('end', () =>
            answer.statusCode === 201 ? resolve(0) : reject(new Error(`${answer.statusCode} for ${body}`)),
          );
        });
        sent.on('error', reject);
        sent.end(body);
      });
    await Promise.all(jobs.map(post));
    agent.destroy();
  }

  /** @param {string} name @returns {Promise<KubeObject>} */
  job(name) {
    return this.get(`/apis/batch/v1/namespaces/default/jobs/${name}`);
  }

  /** Waits until a Job is Complete or Failed, and answers that condition. @param {string} name @param {number} [within] */
  async ended(name, within = SOON) {
    /** @type {any} */
    let status;
    return until(
      `the end of Job ${name}`,
      async () => {
        status = (await this.job(name)).status;
        return status?.conditions?.find(
          (/** @type {any} */ c) => ['Complete', 'Failed'].includes(c.type) && c.status === 'True',
        );
      },
      { within, seen: () => status },
    );
  }
}

/** The file of an example's module. @param {string} name */
export function example(name) {
  return path.join(ROOT, 'guest-examples', name, `${name}.wasm`);
}

/**
 * A Job of one container `c`.
 *
 * @param {string} name
 * @param {string} image
 * @param {string[]} command
 * @param {Record<string, unknown>} [spec] more fields of the Job's spec
 * @returns {KubeObject}
 */
export function job(name, image, command, spec = {}) {
  const containers = [{ name: 'c', image, command }];
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: { ...spec, template: { spec: { restartPolicy: 'Never', containers } } },
  };
}
