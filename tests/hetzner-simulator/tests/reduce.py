"""Reduces Hetzner's OpenAPI document to what the simulator claims: reduce.py FULL ../src/route.rs >REDUCED

What the provider has changed since the document was made is changed here too.
"""

import json
import re
import sys


def references(value):
    """Names of the schemas that a value refers to."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].removeprefix("#/components/schemas/")
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from references(entry)


def trim(value):
    """Examples are not part of what is claimed, and descriptions of fields fill the file."""
    if isinstance(value, list):
        return [trim(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    words = ("example", "examples", "x-codeSamples", "title", "tags")
    trimmed = {}
    for key, entry in value.items():
        # A property may have any name.
        is_word = key in words or (key == "description" and isinstance(entry, str))
        if key == "properties":
            trimmed[key] = {name: trim(one) for name, one in entry.items()}
        elif not is_word:
            trimmed[key] = trim(entry)
    return trimmed


def without_data_centers(value):
    """The provider removed them on 2026-07-01."""
    if isinstance(value, list):
        return [without_data_centers(entry) for entry in value if entry != "datacenter"]
    if isinstance(value, dict):
        return {key: without_data_centers(entry) for key, entry in value.items() if key != "datacenter"}
    return value


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        full = json.load(file)
    with open(sys.argv[2], encoding="utf-8") as file:
        routes = re.findall(r'\("([A-Z]+)", "([^"]+)", ', file.read())
    paths = {}
    for method, path in routes:
        own = full["paths"][path]
        operation = trim(own[method.lower()])
        for response in operation["responses"].values():
            response.setdefault("description", "answer")
        # Ranges of status codes are written in capitals (OpenAPI 3.0.3, 4.7.16).
        operation["responses"] = {code.upper(): one for code, one in operation["responses"].items()}
        paths.setdefault(path, {})[method.lower()] = operation
    schemas, wanted = {}, list(references(paths))
    while wanted:
        name = wanted.pop()
        if name not in schemas:
            schemas[name] = trim(full["components"]["schemas"][name])
            wanted.extend(references(schemas[name]))
    document = without_data_centers({
        "openapi": full["openapi"],
        "info": {"title": full["info"]["title"], "version": full["info"]["version"]},
        "servers": [{"url": "/v1"}],
        "security": full["security"],
        "components": {"schemas": schemas, "securitySchemes": full["components"]["securitySchemes"]},
        "paths": paths,
    })
    patch(document)
    json.dump(document, sys.stdout, indent=1, sort_keys=True)
    print()


def patch(document):
    """Where the provider, or its own libraries, differ from the document."""
    schemas = document["components"]["schemas"]
    identity = {"anyOf": [{"type": "string"}, {"type": "integer", "format": "int64", "minimum": 0}]}
    # IDs go as integers too.
    for name, fields in {
        "create_server_request": ("image", "server_type", "location"),
        "rebuild_server_from_image_request": ("image",),
        "change_type_of_server_request": ("server_type",),
        "create_primary_ip_request": ("location",),
    }.items():
        for field in fields:
            schemas[name]["properties"][field] = identity
    keys = schemas["create_server_request"]["properties"]["ssh_keys"]
    keys["items"] = identity
    # Addresses without an assignee, since 2026-08-01.
    create = schemas["create_primary_ip_request"]
    create["required"].remove("assignee_type")
    create["properties"]["assignee_type"]["enum"] = ["server", "unassigned"]
    for name, schema in schemas.items():
        if name == "create_primary_ip_request" or "primary_ip" not in name:
            continue
        shown = schema["properties"].get("primary_ip") or schema["properties"].get("primary_ips", {}).get("items")
        if shown and "assignee_type" in shown.get("properties", {}):
            shown["properties"]["assignee_type"]["enum"] = ["server", "unassigned"]


main()
