"""What users of oras do: push, list, pull. Run by tests/it/registry.rs.

oras_client.py HOST TOKEN MODULE DIRECTORY; TOKEN may be empty.
"""

import os
import sys

from oras.client import OrasClient

host, token, module, directory = sys.argv[1:]
os.chdir(directory)


def client():
    new = OrasClient(insecure=True, auth_backend="basic" if token else "token")
    if token:
        new.auth.set_basic_auth("anybody", token)
    return new


def push(name, path, **options):
    return client().push(
        target=f"{host}/{name}", files=[path], disable_path_validation=True, **options
    )


wasm = f"{module}:application/wasm"
with open("config.json", "w") as file:
    file.write('{"architecture":"wasm","os":"wasip1"}')
config = "config.json:application/vnd.wasm.config.v0+json"
pushed = push("tools/hello:1", wasm, manifest_config=config)
assert pushed.status_code == 201, pushed.text
digest = pushed.headers["Docker-Content-Digest"]

# In small chunks, and as what oras makes of it without a config.
push("tools/chunks:1", wasm, do_chunked=True, chunk_size=1000)
push("tools/chunks:2", wasm, manifest_annotations={"another": "manifest"})
assert client().get_tags(f"{host}/tools/chunks") == ["1", "2"]

pulled = client().pull(target=f"{host}/tools/hello@{digest}", outdir="pulled")
with open(pulled[0], "rb") as got, open(module, "rb") as sent:
    assert got.read() == sent.read(), "the bytes came back as others"
manifest = client().get_manifest(f"{host}/tools/hello:1")
assert manifest["config"]["mediaType"] == "application/vnd.wasm.config.v0+json", manifest

# What is no module is kept and comes back.
with open("notes.txt", "w") as file:
    file.write("notes")
push("tools/notes:1", "notes.txt:text/plain")
pulled = client().pull(target=f"{host}/tools/notes:1", outdir="notes")
assert open(pulled[0]).read() == "notes"

# What looks like a module and cannot run is refused with the reason.
with open("broken.wasm", "wb") as file:
    file.write(b"\0asm\x01\0\0\0")
try:
    push("tools/broken:1", "broken.wasm:application/wasm")
except ValueError as error:
    # Its own words go to stderr, where the test looks for them.
    assert "Bad Request" in str(error), error
else:
    raise AssertionError("a module without _start was taken")

# It deletes a tag by the digest that it means.
assert client().delete_tags(f"{host}/tools/chunks", ["2"]) == ["2"]
assert client().get_tags(f"{host}/tools/chunks") == ["1"]
assert client().get_manifest(f"{host}/tools/hello:1")
print("oras: pushed, listed, pulled, refused, deleted")
