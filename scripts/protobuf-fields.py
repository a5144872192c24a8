#!/usr/bin/env python3
"""Writes src/api/decode/protobuf/fields.txt: which field of which protobuf message is what in JSON.

Kubernetes' protobuf is made from its Go types: the number of a field, its name in JSON, and whether it is a pointer (so
that a zero is told apart from nothing) are in the declarations of those types, and in no other place all three. kubectl
is built from them and carries them with it as data for reflection. So this reads the kubectl that the tests drive
(`make tools`), and the table is of the same version of Kubernetes:

    scripts/protobuf-fields.py target/tools/bin/kubectl > src/api/decode/protobuf/fields.txt

Layouts: internal/abi/type.go of Go 1.24 to 1.26, for programs of 64 bits that are not position independent.
"""

import json
import struct
import sys

API, META = "k8s.io/api/", "k8s.io/apimachinery/pkg/apis/"

# What may be sent: objects of the kinds that are served, and the bodies of their subresources and of reviews.
ROOTS = """
core/v1.Namespace core/v1.Node core/v1.Pod core/v1.ConfigMap core/v1.Secret core/v1.Event core/v1.ServiceAccount
core/v1.Binding batch/v1.Job batch/v1.CronJob coordination/v1.Lease events/v1.Event policy/v1.Eviction
meta/v1.DeleteOptions authentication/v1.TokenRequest authentication/v1.TokenReview
authentication/v1.SelfSubjectReview authorization/v1.SelfSubjectAccessReview
authorization/v1.SelfSubjectRulesReview authorization/v1.SubjectAccessReview
authorization/v1.LocalSubjectAccessReview
""".split()

# Types with a form of their own in JSON, which the reader knows by these names.
SPECIAL = {
    "meta/v1.Time": "Time",
    "meta/v1.MicroTime": "MicroTime",
    "meta/v1.FieldsV1": "FieldsV1",
    "k8s.io/apimachinery/pkg/api/resource.Quantity": "Quantity",
    "k8s.io/apimachinery/pkg/util/intstr.IntOrString": "IntOrString",
    "authentication/v1.AttestationValue": "Strings",
    "authentication/v1.ExtraValue": "Strings",
    "authorization/v1.ExtraValue": "Strings",
}

BOOL, INT32, INT64, MAP, POINTER, SLICE, STRING, STRUCT, UINT8 = 1, 5, 6, 21, 22, 23, 24, 25, 8
SCALARS = {BOOL: "bool", INT32: "int32", INT64: "int64", STRING: "string"}


class Program:
    """The types of a Go program, by address."""

    def __init__(self, path):
        self.bytes = open(path, "rb").read()
        if self.bytes[:5] != b"\x7fELF\x02" or self.number("<H", 16) != 2:
            sys.exit(f"{path} is not a 64-bit ELF program at fixed addresses")
        start, size, count, names = (self.number(f, at) for f, at in (("<Q", 40), ("<H", 58), ("<H", 60), ("<H", 62)))
        headers = [struct.unpack_from("<IIQQQQ", self.bytes, start + i * size) for i in range(count)]
        text = lambda at: self.bytes[at : self.bytes.index(b"\0", at)].decode()
        self.sections = {text(headers[names][4] + h[0]): h[3:6] for h in headers if h[1] == 1 or h[1] == 3}
        self.base = self.sections[".rodata"][0]

    def number(self, form, at):
        return struct.unpack_from(form, self.bytes, at)[0]

    def at(self, address):
        for begin, offset, size in self.sections.values():
            if begin and begin <= address < begin + size:
                return address - begin + offset
        raise ValueError(f"no section holds {address:#x}")

    def text(self, at):
        length = shift = 0
        while True:
            byte = self.bytes[at]
            length |= (byte & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if byte < 0x80:
                return self.bytes[at : at + length].decode(), at + length

    def name(self, address):
        """A name, its tag, and whether the field is embedded."""
        at = self.at(address)
        flags = self.bytes[at]
        name, after = self.text(at + 1)
        tag = self.text(after)[0] if flags & 2 else ""
        return name, tag, bool(flags & 8)

    def pointers(self):
        """The addresses of all types that have no name of their own, such as pointers to structs."""
        _, offset, size = self.sections[".typelink"]
        for (link,) in struct.iter_unpack("<i", self.bytes[offset : offset + size]):
            yield self.base + link

    def kind(self, address):
        return self.bytes[self.at(address) + 23] & 0x1F

    def element(self, address, at=48):
        return self.number("<Q", self.at(address) + at)

    def named(self, address):
        """`batch/v1.JobSpec`; None for a type without a name."""
        at = self.at(address)
        if not self.bytes[at + 20] & 4 or not self.bytes[at + 20] & 1:
            return None
        name = self.name(self.base + self.number("<i", at + 40))[0].lstrip("*").split(".", 1)[-1]
        extra = {STRUCT: 32, SLICE: 8, POINTER: 8, MAP: 0x38}.get(self.kind(address), 0)
        package = self.name(self.base + self.number("<i", at + 48 + extra))[0]
        return f"{package.removeprefix(API).removeprefix(META)}.{name}"

    def fields(self, address):
        at = self.at(address)
        begin, count = struct.unpack_from("<QQ", self.bytes, at + 56)
        for i in range(count):
            name, of, _ = struct.unpack_from("<QQQ", self.bytes, self.at(begin) + 24 * i)
            yield *self.name(name), of


def tags(text):
    found = {}
    while text:
        key, rest = text.split(":", 1)
        value, end = json.JSONDecoder().raw_decode(rest)
        found[key], text = value, rest[end:].lstrip()
    return found


class Table:
    def __init__(self, program):
        self.program, self.messages, self.waiting = program, {}, []

    def type(self, of):
        program, kind = self.program, self.program.kind(of)
        if (name := program.named(of)) in SPECIAL:
            return SPECIAL[name]
        if kind in SCALARS:
            return SCALARS[kind]
        if kind == POINTER:
            return "*" + self.type(program.element(of))
        if kind == SLICE:
            element = program.element(of)
            # A list with a name of its own would be a message; the ones there are, are above.
            assert not name, name
            return "bytes" if program.kind(element) == UINT8 else "[]" + self.type(element)
        if kind == MAP:
            assert program.kind(program.element(of)) == STRING, program.named(of)
            return "map " + self.type(program.element(of, 56))
        assert kind == STRUCT and name, (kind, name)
        self.waiting.append((name, of))
        return name

    def message(self, name, of):
        fields = []
        for field, tag, embedded, inner in self.program.fields(of):
            tag = tags(tag)
            if "protobuf" not in tag:
                assert field == "TypeMeta" and embedded, (name, field)
                continue
            number = int(tag["protobuf"].split(",")[1])
            json_name = tag["json"].split(",")[0]
            assert json_name or embedded, (name, field, tag)
            fields.append((number, json_name or ".", self.type(inner)))
        self.messages[name] = sorted(fields)

    def text(self):
        program = self.program
        structs = {}
        for pointer in program.pointers():
            if program.kind(pointer) == POINTER and program.kind(program.element(pointer)) == STRUCT:
                structs[program.named(program.element(pointer))] = program.element(pointer)
        self.waiting = [(root, structs[root]) for root in ROOTS]
        while self.waiting:
            name, of = self.waiting.pop()
            if name not in self.messages:
                self.message(name, of)
        for name in sorted(self.messages):
            yield name
            yield from (f" {number} {field} {type}" for number, field, type in self.messages[name])


def main():
    program = Program(sys.argv[1])
    print("# The fields of Kubernetes' messages: number, name in JSON ('.': its fields are those of the parent), type.")
    print("# '*': the Go type is a pointer, so that a zero is a value. Made by scripts/protobuf-fields.py: see there.")
    for line in Table(program).text():
        print(line)


main()
