// Where a manifest goes, seen from its text alone: the server reads it, and refuses what does not fit its place.

/** @typedef {{ plural: 'jobs' | 'cronjobs', namespace: string }} Destination */

/**
 * @param {string} text YAML or JSON of one object
 * @param {string} home the namespace if it names none
 * @returns {Destination}
 */
export function destination(text, home) {
  const { kind, namespace } = text.trimStart().startsWith('{') ? fromJson(text) : fromYaml(text);
  return { plural: kind === 'CronJob' ? 'cronjobs' : 'jobs', namespace: namespace || home };
}

/** @param {string} text */
function fromJson(text) {
  try {
    const object = JSON.parse(text);
    return { kind: String(object.kind ?? ''), namespace: String(object.metadata?.namespace ?? '') };
  } catch {
    return { kind: '', namespace: '' };
  }
}

/** @param {string} text */
function fromYaml(text) {
  const kind = /^kind:[ \t]*["']?(\w+)/m.exec(text)?.[1] ?? '';
  const [metadata = ''] = /^metadata:[ \t]*(?:#.*)?(?:\{.*|(?:\r?\n(?:[ \t]+.*|#.*|))*)/m.exec(text) ?? [];
  const namespace = /(?:^[ \t]+|[{,][ \t]*)namespace:[ \t]*["']?([a-z0-9-]+)/m.exec(metadata)?.[1] ?? '';
  return { kind, namespace };
}
