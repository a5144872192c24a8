// Modules as the API tells them (kiln.dev/v1), and images as manifests name them. No DOM.

/**
 * @typedef {object} ModuleRecord
 * @property {string} uid
 * @property {string} object the name of the object
 * @property {string} name without a tag
 * @property {string} tag
 * @property {string} digest empty if it is no module but something else that was pushed
 * @property {string} kind `Command`, `Component` or `Artifact`
 * @property {number} size bytes
 * @property {string} pushed RFC 3339
 * @property {string} from `push` or `registry`
 * @property {number} compileSeconds NaN if it is not known
 * @property {string[]} imports
 * @property {string[]} exports
 * @property {Record<string, string[]>} producers
 */

/** @param {any} object a Module @returns {ModuleRecord} */
export function moduleRecord({ metadata, spec = {}, status = {} }) {
  return {
    uid: metadata.uid,
    object: metadata.name,
    name: spec.name ?? metadata.name,
    tag: spec.tag ?? 'latest',
    digest: spec.digest ?? '',
    kind: status.kind ?? '',
    size: status.size ?? NaN,
    pushed: status.pushed ?? '',
    from: status.from ?? '',
    compileSeconds: Number(status.compileSeconds ?? NaN),
    imports: status.imports ?? [],
    exports: status.exports ?? [],
    producers: status.producers ?? {},
  };
}

/** As a manifest's `image` names it. @param {{ name: string, tag: string }} module */
export function reference({ name, tag }) {
  return tag === 'latest' ? name : `${name}:${tag}`;
}

/** An image's parts; the tag is `latest` where neither it nor a digest is said. @param {string} image */
export function parseImage(image) {
  const [named = '', digest = ''] = image.split('@');
  const [, name = '', tag = ''] = /^(.*?)(?::([^/:]*))?$/s.exec(named) ?? [];
  return { name, tag: tag || (digest === '' ? 'latest' : ''), digest };
}

/** Whether a container with this image would run this module. @param {string} image @param {ModuleRecord} module */
export function means(image, module) {
  const { name, tag, digest } = parseImage(image);
  return digest === '' ? name === module.name && tag === module.tag : digest === module.digest;
}

/** `sha256:1234abcd5678` @param {string} digest */
export function shortDigest(digest) {
  return digest.slice(0, 'sha256:'.length + 12);
}

/**
 * Imports by where they come from: the functions of a module of WASI preview 1, the interfaces of a package.
 * @param {string[]} imports
 * @returns {{ from: string, names: string[] }[]}
 */
export function importGroups(imports) {
  /** @type {Map<string, string[]>} */
  const groups = new Map();
  for (const text of imports) {
    const [, from = text, name = ''] = /^(\S+) (.*)$/s.exec(text) ?? packaged(text);
    groups.set(from, [...(groups.get(from) ?? []), ...(name === '' ? [] : [name])]);
  }
  return [...groups].map(([from, names]) => ({ from, names })).sort((a, b) => a.from.localeCompare(b.from));
}

/** `wasi:cli/environment@0.2.0` as its package and interface. @param {string} text */
function packaged(text) {
  const [, head, name, version = ''] = /^([^/@]+)\/([^@]+)(@.*)?$/.exec(text) ?? [];
  return head === undefined ? ['', text, ''] : ['', head + version, name];
}

/** What the host lends a program, by what it imports. @type {[string, RegExp][]} */
const NEEDS = [
  ['network', /^wasi:(sockets|http)\/|\bsock_(recv|send|accept)/],
  ['files', /^wasi:filesystem\/|\b(path_\w+|fd_readdir|fd_prestat_get)$/],
  ['environment', /^wasi:cli\/environment|\benviron_get$/],
  ['arguments', /\bargs_get$/],
  ['input', /^wasi:cli\/stdin|\bfd_read$/],
  ['clocks', /^wasi:clocks\/|\bclock_time_get$/],
  ['random numbers', /^wasi:random\/|\brandom_get$/],
];

/** What a module may make use of, in words. @param {string[]} imports */
export function needs(imports) {
  return NEEDS.filter(([, pattern]) => imports.some((name) => pattern.test(name))).map(([word]) => word);
}

/** A name for a file's module that the server takes: `My Program.wasm` is `my-program`. @param {string} file */
export function nameForFile(file) {
  const stem = file.replace(/^.*[/\\]/, '').replace(/\.(wasm|wat)$/i, '');
  const name = stem
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 63);
  return name.replace(/-+$/, '') || 'module';
}
