//! The order of a merged list (apimachinery `strategicpatch`, `normalizeElementOrder`): what the patch names stands in
//! the patch's order, what only the server has stands in the server's, and between the two the server's order decides
//! where it knows both.

use std::collections::HashMap;

use serde_json::Value;

/// What makes an element the same as another: the merge key of an object, or a plain value itself.
pub(super) fn identity(element: &Value, key: Option<&str>) -> Option<String> {
    match key {
        Some(key) => element.get(key).filter(|v| !v.is_null()).map(Value::to_string),
        None => Some(element.to_string()),
    }
}

/// The place of each element, by identity; the first of equal ones.
pub(super) fn places(list: &[Value], key: Option<&str>) -> HashMap<String, usize> {
    let mut places = HashMap::with_capacity(list.len());
    for (place, element) in list.iter().enumerate() {
        if let Some(identity) = identity(element, key) {
            places.entry(identity).or_insert(place);
        }
    }
    places
}

/// Orders `merged`, whose elements come from the patch, the server or both. `wanted` is the patch's order and `server`
/// the list before the patch, both as [`places`].
pub(super) fn arrange(
    merged: Vec<Value>,
    key: Option<&str>,
    wanted: &HashMap<String, usize>,
    server: &HashMap<String, usize>,
) -> Vec<Value> {
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for element in merged {
        let identity = identity(&element, key).unwrap_or_default();
        let place = server.get(&identity).copied();
        match wanted.get(&identity) {
            Some(rank) => named.push((*rank, place, element)),
            None => others.push((place.unwrap_or(usize::MAX), element)),
        }
    }
    named.sort_by_key(|(rank, _, _)| *rank);
    others.sort_by_key(|(place, _)| *place);

    let mut arranged = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, place, element) in named {
        while let (Some(place), Some((other, _))) = (place, others.peek()) {
            if *other >= place {
                break;
            }
            arranged.extend(others.next().map(|(_, element)| element));
        }
        arranged.push(element);
    }
    arranged.extend(others.map(|(_, element)| element));
    arranged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arranged(merged: Value, wanted: Value, server: Value) -> Value {
        let list = |value: Value| value.as_array().cloned().unwrap();
        json!(arrange(list(merged), None, &places(&list(wanted), None), &places(&list(server), None)))
    }

    #[test]
    fn the_patch_decides_over_its_own_and_the_server_over_the_rest() {
        assert_eq!(arranged(json!([1, 2, 3]), json!([3, 1]), json!([1, 2, 3])), json!([2, 3, 1]));
        assert_eq!(arranged(json!([1, 2, 3, 9]), json!([9, 2]), json!([1, 2, 3])), json!([9, 1, 2, 3]));
        assert_eq!(arranged(json!([1, 2]), json!([]), json!([2, 1])), json!([2, 1]));
        assert_eq!(arranged(json!([]), json!([1]), json!([2])), json!([]));
    }
}
