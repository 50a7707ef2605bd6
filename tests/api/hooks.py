# SPDX-License-Identifier: Apache-2.0
"""What schemathesis is told about us, loaded by it (SCHEMATHESIS_HOOKS): whose names there are, and two checks of our own. What is
changed of a request here is changed so that more of them get further, never so that a finding goes away:

- of valid requests every other one speaks of things that are there;
- `wait` is taken out, since nothing would happen while it waits (tests/daemon/test_audit.py waits);
- "one value for all, or one for each" is more than JSON Schema can say, so valid lists are cut to a length that is possible;
- "a price list" is more than JSON Schema can say, so valid texts become one (tests/daemon and tests/unit have the bad ones);
- jobs run `true` with the words made up behind it: what is made up is not to be run;
- bad credentials come from many addresses, as one address may send ten a second (tests/daemon/test_remote_flood.py)."""
import itertools
import os
import time
import zlib

import requests.adapters
import schemathesis

SECRET = os.environ["FUZZ_SECRET"]  # stands in what is another project's, nowhere else
TOKEN = "Bearer " + os.environ["FUZZ_TOKEN"]
PROJECTS = os.environ["FUZZ_PROJECTS"].split()
POOL = {"user_name": "user", "member": "user", "user": "user", "project_name": "project", "project": "project", "target": "set", "history_of": "set", "history_project": "project"}
ADDRESSES = 100
PRICES = "currency,price\nEUR,2.00\n"


class From(requests.adapters.HTTPAdapter):
    def __init__(self, address):
        self.address = address
        super().__init__()

    def init_poolmanager(self, *args, **how):
        super().init_poolmanager(*args, **how, source_address=(self.address, 0))


strangers = itertools.cycle([From(f"127.0.7.{n + 1}") for n in range(ADDRESSES)])
send = requests.adapters.HTTPAdapter.send


def send_from(adapter, request, **how):
    return send(adapter if request.headers.get("Authorization") == TOKEN else next(strangers), request, **how)


requests.adapters.HTTPAdapter.send = send_from


def known(kind, value):
    """The same name for the same value in every run; every other value stays as it is."""
    number = zlib.crc32(str(value).encode())
    name = PROJECTS[number // 2 % 4] if kind == "project" else f"{kind}{number // 2 % 4}"
    return name if number % 2 else value


def cut_lists(body):
    if isinstance(body.get("devices"), list) and body["devices"]:
        body["gpus"] = len(body["devices"])
    count = body.get("gpus", 1)
    for field in ("memory", "compute"):
        if isinstance(body.get(field), list) and len(body[field]) not in (1, count):
            body[field] = body[field][:1]


def cut_query_lists(query):
    """The same of lists in a query, "1G,2G"."""
    for field in ("memory", "compute"):
        values = str(query.get(field, "")).split(",")
        if len(values) not in (1, int(query.get("gpus") or 1)):
            query[field] = values[0]


def put_in_order(query):
    """What no schema says: `from` is past and before `until`, and there are not too many steps between them."""
    query.pop("until", None)
    if "from" in query:
        query["from"] = str(int(time.time()) - 3600 - zlib.crc32(str(query["from"]).encode()) % (30 * 86400))
        if str(query.get("step", "")).isdigit():
            query["step"] = max(int(query["step"]), 3600)


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.query and str(case.query.get("wait", "")) in map(str, range(61)):
        del case.query["wait"]
    command = case.body.get("command") if isinstance(case.body, dict) else None
    if isinstance(command, list) and command and isinstance(command[0], str):
        command[0] = "true"
    if not case.meta or case.meta.generation.mode.is_negative:
        return
    if case.query and case.operation.path == "/v1/placement":
        cut_query_lists(case.query)
    if case.query and "history" in case.operation.path:
        put_in_order(case.query)
    for place in (case.path_parameters, case.query, case.body):
        if not isinstance(place, dict):
            continue
        for name in POOL.keys() & place.keys():
            place[name] = known(POOL[name], place[name])
        if place is case.body and "name" in place:
            place["name"] = known({"vgpus": "set", "users": "user", "projects": "project"}.get(case.operation.path.split("/")[2], "name"), place["name"])
        if place is case.body:
            cut_lists(place)
            if "csv" in place:
                place["csv"] = PRICES


def resolve(document, schema):
    while "$ref" in schema:
        found = document
        for part in schema["$ref"][2:].split("/"):
            found = found[part]
        schema = found
    return schema


def fields(document, schema):
    """The fields that an object may have, by name; None where that is open."""
    schema = resolve(document, schema)
    found = dict(schema.get("properties", {}))
    for branch in itertools.chain.from_iterable(schema.get(word, []) for word in ("allOf", "anyOf", "oneOf")):
        found.update(fields(document, branch) or {})
    return found or None


def undescribed(document, schema, value, where=""):
    schema = resolve(document, schema)
    if isinstance(value, list):
        return [x for item in value for x in undescribed(document, schema.get("items", {}), item, where + "[]")]
    described = fields(document, schema) if isinstance(value, dict) else None
    if described is None:
        return []
    return [f"{where}.{k}" for k in value if k not in described] + \
        [x for k, v in value.items() if k in described for x in undescribed(document, described[k], v, f"{where}.{k}")]


@schemathesis.check
def no_field_that_is_not_described(ctx, response, case):
    document = case.operation.schema.raw_schema
    told = resolve(document, case.operation.definition.raw["responses"].get(str(response.status_code), {}))
    if response.content and case.operation.path != "/v1/openapi.json":
        for kind, content in told.get("content", {}).items():
            if not kind.endswith("json"):
                continue  # a text has no fields
            extra = undescribed(document, content["schema"], response.json())
            assert not extra, f"in the answer and not in the document: {', '.join(extra[:5])}"


@schemathesis.check
def nothing_of_others(ctx, response, case):
    assert SECRET not in response.text, f"what is another project's was told: {response.text[:200]}"
