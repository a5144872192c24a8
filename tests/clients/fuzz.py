"""What schemathesis holds against each answer of kiln, besides the schemas of its own OpenAPI document.

Loaded by schemathesis through SCHEMATHESIS_HOOKS; tests/it/fuzz.rs starts it.
"""

import os

import schemathesis

# A watch and a followed log have no end, so there is no answer to look at; other tests follow both.
ENDLESS = ("watch", "follow", "sendInitialEvents")


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """The edges of every field are asked for in JSON only: each form would be the same values once more, by the ten thousand."""
    if "KILN_FUZZ_ONLY_JSON" not in os.environ:
        return
    for path in raw_schema["paths"].values():
        for operation in path.values():
            content = operation.get("requestBody", {}).get("content", {}) if isinstance(operation, dict) else {}
            if "application/json" in content:
                for media in set(content) - {"application/json"}:
                    del content[media]


@schemathesis.hook
def before_call(context, case, kwargs):
    for name in ENDLESS:
        (case.query or {}).pop(name, None)


@schemathesis.check
def no_fault_of_the_server(ctx, response, case):
    """Whatever was asked, the answer is not that kiln has failed. A revision of the future is to be asked for later."""
    if response.status_code >= 500:
        answer = response.json()
        assert response.status_code == 504 and answer["message"].startswith("Too large resource version"), answer


@schemathesis.check
def every_refusal_is_a_status(ctx, response, case):
    """Clients read reasons, codes and causes out of a Status, whatever was wrong with the request."""
    if response.status_code >= 400:
        answer = response.json()
        assert answer["kind"] == "Status" and answer["status"] == "Failure" and answer["message"], answer
        assert answer["code"] == response.status_code, answer
