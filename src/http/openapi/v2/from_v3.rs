//! The dialect of OpenAPI v2 for what the documents of v3 say, as the API server publishes it: no `requestBody` but a
//! parameter in the body, parameters that are their own schema, and one schema for a response.

use serde_json::{Map, Value, json};

const OLD: &str = "#/components/schemas/";
const NEW: &str = "#/definitions/";

/// A schema with all below it.
pub fn schema(mut value: Value) -> Value {
    if let Some(Value::Array(mut only)) = value.get_mut("allOf").map(Value::take)
        && let (Some(Value::Object(reference)), Value::Object(outer)) = (only.pop(), &mut value)
    {
        // In this dialect a description stands beside the reference.
        outer.remove("allOf");
        outer.extend(reference);
    }
    let Value::Object(fields) = &mut value else { return value };
    if let Some(Value::Array(choices)) = fields.remove("oneOf") {
        // A number or a string: a string, of which `format` says more.
        let is_string = choices.iter().any(|choice| choice["type"] == "string");
        fields.insert("type".to_owned(), json!(if is_string { "string" } else { "object" }));
    }
    if let Some(Value::String(reference)) = fields.get_mut("$ref") {
        *reference = reference.replacen(OLD, NEW, 1);
    }
    for below in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(below) {
            *inner = schema(inner.take());
        }
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(|property| *property = schema(property.take()));
    }
    value
}

/// The operations of a path.
pub fn path_item(item: &Value) -> Value {
    let Value::Object(item) = item else { return Value::Null };
    let converted = item.iter().map(|(key, value)| {
        let value = if key == "parameters" { parameters(value, None) } else { operation(value) };
        (key.clone(), value)
    });
    Value::Object(converted.collect())
}

fn operation(operation: &Value) -> Value {
    let Value::Object(fields) = operation else { return Value::Null };
    let mut converted = Map::new();
    let body = fields.get("requestBody").and_then(|body| body["content"].as_object());
    for (key, value) in fields {
        match key.as_str() {
            "parameters" => {}
            "requestBody" => {
                let types = body.map(|content| content.keys().cloned().collect::<Vec<_>>());
                converted.insert("consumes".to_owned(), json!(types.unwrap_or_default()));
            }
            "responses" => {
                converted.insert("responses".to_owned(), responses(value));
                converted.insert("produces".to_owned(), json!(produced(value)));
            }
            _ => {
                converted.insert(key.clone(), value.clone());
            }
        }
    }
    let body = body.and_then(|content| Some(content.values().next()?["schema"].clone()));
    converted.insert("parameters".to_owned(), parameters(fields.get("parameters").unwrap_or(&Value::Null), body));
    Value::Object(converted)
}

fn parameters(from: &Value, body: Option<Value>) -> Value {
    let body = body.map(|body| json!({"name": "body", "in": "body", "required": true, "schema": schema(body)}));
    let others = from.as_array().into_iter().flatten().map(|parameter| {
        let mut flat = parameter.as_object().cloned().unwrap_or_default();
        if let Some(Value::Object(schema)) = flat.remove("schema") {
            flat.extend(schema);
        }
        Value::Object(flat)
    });
    body.into_iter().chain(others).collect()
}

/// The first of the schemas between which v3 leaves the choice: there is no choice in this dialect.
fn responses(from: &Value) -> Value {
    let codes = from.as_object().into_iter().flatten().map(|(code, response)| {
        let mut converted = json!({"description": response["description"]});
        let content = response["content"].as_object().and_then(|content| content.values().next());
        if let Some(found) = content.and_then(|content| content.get("schema")) {
            let one = found.get("anyOf").and_then(|choices| choices.get(0)).unwrap_or(found);
            converted["schema"] = schema(one.clone());
        }
        (code.clone(), converted)
    });
    Value::Object(codes.collect())
}

fn produced(responses: &Value) -> Vec<String> {
    let all = responses.as_object().into_iter().flat_map(Map::values);
    let types = all.filter_map(|response| response["content"].as_object()).flat_map(Map::keys);
    types.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_say_the_same_in_the_older_dialect() {
        let reference = |name: &str| json!({"$ref": format!("{OLD}{name}")});
        let table = [
            (reference("a.Job"), json!({"$ref": "#/definitions/a.Job"})),
            (
                json!({"description": "d", "allOf": [reference("a.Spec")], "x-kubernetes-patch-strategy": "merge"}),
                json!({"description": "d", "$ref": "#/definitions/a.Spec", "x-kubernetes-patch-strategy": "merge"}),
            ),
            (
                json!({"type": "array", "items": {"allOf": [reference("a.Item")]}}),
                json!({"type": "array", "items": {"$ref": "#/definitions/a.Item"}}),
            ),
            (
                json!({"type": "object", "additionalProperties": reference("a.Q"), "properties": {"oneOf": {"type": "string"}}}),
                json!({"type": "object", "additionalProperties": {"$ref": "#/definitions/a.Q"}, "properties": {"oneOf": {"type": "string"}}}),
            ),
            (
                json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"}),
                json!({"type": "string", "format": "int-or-string"}),
            ),
        ];
        for (v3, v2) in table {
            assert_eq!(schema(v3), v2);
        }
    }

    #[test]
    fn an_operation_has_its_body_among_its_parameters() {
        let schema = |name: &str| json!({"$ref": format!("{OLD}{name}")});
        let item = json!({
            "parameters": [{"name": "name", "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}}],
            "delete": {
                "description": "delete Job", "operationId": "deleteJob", "x-kubernetes-action": "delete",
                "parameters": [{"name": "dryRun", "in": "query", "schema": {"type": "string"}}],
                "requestBody": {"content": {"application/json": {"schema": schema("Options")}, "application/yaml": {"schema": schema("Options")}}},
                "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": {"anyOf": [schema("Status"), schema("Job")]}}}}},
            },
            "get": {"responses": {"200": {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}}},
        });
        let expected = json!({
            "parameters": [{"name": "name", "in": "path", "required": true, "type": "string", "uniqueItems": true}],
            "delete": {
                "description": "delete Job", "operationId": "deleteJob", "x-kubernetes-action": "delete",
                "consumes": ["application/json", "application/yaml"], "produces": ["application/json"],
                "parameters": [
                    {"name": "body", "in": "body", "required": true, "schema": {"$ref": "#/definitions/Options"}},
                    {"name": "dryRun", "in": "query", "type": "string"},
                ],
                "responses": {"200": {"description": "OK", "schema": {"$ref": "#/definitions/Status"}}},
            },
            "get": {"produces": ["text/plain"], "parameters": [], "responses": {"200": {"description": "OK", "schema": {"type": "string"}}}},
        });
        assert_eq!(path_item(&item), expected);
    }
}
