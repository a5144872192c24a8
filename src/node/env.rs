//! The environment and the arguments of a container (kubernetes `pkg/kubelet/kubelet_pods.go`,
//! `makeEnvironmentVariables`; `third_party/forked/golang/expansion`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};

use super::cluster::Cluster;
use super::fields::{field_value, resource_value};

/// Why a container cannot be configured yet; it is tried again when a ConfigMap or Secret changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// The environment: what the container names, after `HOSTNAME` and `PWD`, in the order of Kubernetes. Every key of a
/// ConfigMap or Secret can be a name, as in Kubernetes since 1.34, which skips none.
pub async fn environment<C: Cluster>(
    cluster: &C,
    pod: &Pod,
    container: &Container,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut env = Env::default();
    env.set("HOSTNAME", hostname(pod))?;
    if let Some(dir) = &container.working_dir {
        env.set("PWD", dir.clone())?;
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let pairs = if let Some(from) = &source.config_map_ref {
            config_map(cluster, namespace, &from.name, from.optional).await?
        } else if let Some(from) = &source.secret_ref {
            secret(cluster, namespace, &from.name, from.optional).await?
        } else {
            continue;
        };
        for (key, value) in pairs.unwrap_or_default() {
            env.set(&format!("{prefix}{key}"), value)?;
        }
    }
    for var in container.env.iter().flatten() {
        if let Some(value) = value_of(cluster, pod, container, var, &env).await? {
            env.set(&var.name, value)?;
        }
    }
    Ok(env.pairs)
}

async fn value_of<C: Cluster>(
    cluster: &C,
    pod: &Pod,
    container: &Container,
    var: &EnvVar,
    env: &Env,
) -> Result<Option<String>, ConfigError> {
    let Some(from) = &var.value_from else {
        return expand(var.value.as_deref().unwrap_or_default(), &env.values).map(Some);
    };
    if let Some(field) = &from.field_ref {
        return Ok(Some(field_value(pod, &field.field_path)));
    }
    if let Some(resource) = &from.resource_field_ref {
        return resource_value(cluster, pod, Some(container), resource).await.map(Some);
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let (pairs, key, object) = if let Some(r) = &from.config_map_key_ref {
        let pairs = config_map(cluster, namespace, &r.name, r.optional).await?;
        (pairs, (&r.key, r.optional), format!("ConfigMap {namespace}/{}", r.name))
    } else if let Some(r) = &from.secret_key_ref {
        let pairs = secret(cluster, namespace, &r.name, r.optional).await?;
        (pairs, (&r.key, r.optional), format!("Secret {namespace}/{}", r.name))
    } else {
        return Ok(None);
    };
    let (key, optional) = key;
    match pairs.and_then(|mut pairs| pairs.remove(key)) {
        Some(value) => Ok(Some(value)),
        None if optional == Some(true) => Ok(None),
        None => Err(ConfigError(format!("couldn't find key {key} in {object}"))),
    }
}

async fn config_map<C: Cluster>(
    cluster: &C,
    namespace: &str,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<BTreeMap<String, String>>, ConfigError> {
    match cluster.config_map(namespace, name).await {
        Some(map) => Ok(Some(map.data.clone().unwrap_or_default())),
        None if optional == Some(true) => Ok(None),
        None => Err(ConfigError(format!("configmap \"{name}\" not found"))),
    }
}

async fn secret<C: Cluster>(
    cluster: &C,
    namespace: &str,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<BTreeMap<String, String>>, ConfigError> {
    match cluster.secret(namespace, name).await {
        Some(secret) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Ok(Some(secret.data.iter().flatten().map(|(k, v)| (k.clone(), text(&v.0))).collect()))
        }
        None if optional == Some(true) => Ok(None),
        None => Err(ConfigError(format!("secret \"{name}\" not found"))),
    }
}

/// What the pod takes for its host's name.
pub fn hostname(pod: &Pod) -> String {
    let own = pod.spec.as_ref().and_then(|s| s.hostname.clone());
    own.or_else(|| pod.metadata.name.clone()).unwrap_or_default()
}

/// `command` then `args`, expanded; without a command the program's own name comes first.
pub fn arguments(container: &Container, program: &str, env: &[(String, String)]) -> Result<Vec<String>, ConfigError> {
    let values: BTreeMap<String, String> = env.iter().cloned().collect();
    let command = container.command.as_deref().unwrap_or_default();
    let own_name = command.is_empty().then(|| program.to_owned());
    let rest = command.iter().chain(container.args.iter().flatten()).map(|text| expand(text, &values));
    let all: Vec<String> = own_name.into_iter().map(Ok).chain(rest).collect::<Result<_, _>>()?;
    within_limit(all.iter().map(String::len).sum())?;
    Ok(all)
}

/// Bytes of environment, and of arguments, that a container may have: what Linux gives a program, about.
const MOST: usize = 1 << 20;

fn within_limit(bytes: usize) -> Result<(), ConfigError> {
    match bytes <= MOST {
        true => Ok(()),
        false => Err(ConfigError(format!("the environment or the arguments have more than {MOST} bytes"))),
    }
}

/// A later value replaces an earlier one of the same name, in its place.
#[derive(Default)]
struct Env {
    pairs: Vec<(String, String)>,
    values: BTreeMap<String, String>,
    places: BTreeMap<String, usize>,
    bytes: usize,
}

impl Env {
    fn set(&mut self, name: &str, value: String) -> Result<(), ConfigError> {
        self.bytes = self.bytes.saturating_add(name.len() + value.len() + 2);
        within_limit(self.bytes)?;
        self.values.insert(name.to_owned(), value.clone());
        match self.places.get(name) {
            Some(&place) => self.pairs[place].1 = value,
            None => {
                self.places.insert(name.to_owned(), self.pairs.len());
                self.pairs.push((name.to_owned(), value));
            }
        }
        Ok(())
    }
}

/// Replaces `$(NAME)` by its value; an unknown name stays as it is, `$$` is a `$` that begins nothing.
fn expand(text: &str, values: &BTreeMap<String, String>) -> Result<String, ConfigError> {
    expand_with(text, |name| match values.get(name) {
        Some(value) => Ok(value.clone()),
        None => Ok(format!("$({name})")),
    })
}

/// As [`expand`], but every name must be known.
pub fn expand_strictly(text: &str, env: &[(String, String)]) -> Result<String, ConfigError> {
    expand_with(text, |name| match env.iter().find(|(known, _)| known == name) {
        Some((_, value)) => Ok(value.clone()),
        None => Err(ConfigError(format!("missing value for \"{name}\""))),
    })
}

fn expand_with(text: &str, value: impl Fn(&str) -> Result<String, ConfigError>) -> Result<String, ConfigError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        within_limit(out.len())?;
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if let Some(after) = tail.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = tail.strip_prefix('(').and_then(|t| t.split_once(')')) {
            out.push_str(&value(name)?);
            rest = after;
        } else {
            out.push('$');
            rest = tail;
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_brackets_are_expanded_and_dollars_can_be_escaped() {
        let values = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "$(A)".to_owned())].into();
        let cases = [
            ("x$(A)y", "x1y"),
            ("$(B)", "$(A)"),
            ("$(NONE)", "$(NONE)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$A $", "$A $"),
            ("$(A", "$(A"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &values).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn an_expansion_that_grows_without_bound_is_refused() {
        let mut env = Env::default();
        env.set("A0", "x".repeat(1000)).unwrap();
        let mut grow = |n: u32| {
            let text = format!("$(A{n})").repeat(10);
            env.set(&format!("A{}", n + 1), expand(&text, &env.values)?)
        };
        assert!((0..40).try_for_each(&mut grow).is_err());
    }

    #[test]
    fn the_command_replaces_the_programs_own_name() {
        let strings = |list: &[&str]| Some(list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        let mut container = Container { args: strings(&["$(N)"]), ..Container::default() };
        let env = [("N".to_owned(), "5".to_owned())];
        assert_eq!(arguments(&container, "pi", &env).unwrap(), ["pi", "5"]);
        container.command = strings(&["p", "-x"]);
        assert_eq!(arguments(&container, "pi", &env).unwrap(), ["p", "-x", "5"]);
    }
}
