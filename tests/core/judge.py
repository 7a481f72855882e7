"""Asks other people's libraries about the documents in a build folder: judge.py FOLDER

Prints one line per fault and ends with 1 if there are any.
"""

import json
import pathlib
import sys

from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf.json_format import Parse, ParseDict
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement, statement_pb2
from packageurl import PackageURL
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


def spdx(path):
    for message in validate_full_spdx_document(parse_file(str(path))):
        yield message.validation_message


def cyclonedx(path):
    text = path.read_text()
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault:
        yield fault
    Bom.from_json(json.loads(text)).validate()
    for component in json.loads(text)["components"]:
        # An unpinned artifact has none.
        if component["type"] == "file" and "version" not in component:
            continue
        if PackageURL.from_string(component["purl"]).to_string() != component["purl"]:
            yield f"{component['purl']} is not in canonical form"


def provenance(path):
    text = path.read_text()
    statement.Statement.copy_from_pb(Parse(text, statement_pb2.Statement())).validate()
    ParseDict(json.loads(text)["predicate"], provenance_pb2.Provenance())
    return ()


folder = pathlib.Path(sys.argv[1])
faults = []
for name, judge in {"sbom.spdx.json": spdx, "sbom.cdx.json": cyclonedx, "provenance.json": provenance}.items():
    try:
        faults += [f"{name}: {fault}" for fault in judge(folder / name)]
    except Exception as fault:
        faults.append(f"{name}: {fault!r}")
print("\n".join(faults))
sys.exit(bool(faults))
