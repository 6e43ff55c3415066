"""The findings as SARIF 2.1.0, which code hosts and editors show: one run for each audited run.

- A rule is a law; a finding of a broken law is a result of level ``error``.
- ``region.startLine`` is the line of the row where the file has lines: row + 1 in CSV (its first line
  names the columns; blank lines and line breaks in cells are counted), the row itself in JSON lines. In
  other files (Parquet, an archive) it is the row's number. A finding about a whole file has no region.
- Deviations that the declared rules document are results of kind ``informational``, one for each kind.
- A law that stayed unknown has no place in a file: it is a notification, as rejected rows are.
- A waived finding carries its suppression with the waiver's reason. Under a baseline every result says
  whether it is ``new`` or ``unchanged``.

Every result has a location, because GitHub refuses a whole file for one that has none
(https://github.com/github/codeql-action/issues/1738), and every run a category of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from invariants.laws import LAWS
from invariants.pages import sections
from invariants.report.as_json import LISTED, versions
from invariants.report.as_text import clean
from invariants.report.lines import line_of
from invariants.verdict import Verdict

if TYPE_CHECKING:
    from invariants.outcome import Outcome
    from invariants.verdict import Judgement
    from invariants.waivers import Complaint, Waiver

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_CSV = (".csv", ".csv.gz", ".csv.zst", ".csv.bz2", ".csv.xz")
_FINGERPRINT = "finding/v1"
_STRAY = re.compile(r"%(?![0-9A-Fa-f]{2})")


def sarif_bytes(runs: Iterable[dict[str, Any]], complaints: Sequence[Complaint] = ()) -> bytes:
    """The file: every run (of ``sarif_run`` or ``sarif_unread``), and what is wrong with the waivers."""
    listed = list(runs)
    if complaints and listed:
        notes = [_notification("error", str(complaint)) for complaint in complaints]
        listed[0]["invocations"][0]["toolConfigurationNotifications"] = notes
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": listed}
    return (json.dumps(log, indent=1, allow_nan=False) + "\n").encode()


def sarif_run(outcome: Outcome, number: int = 1) -> dict[str, Any]:
    """The run of one report; ``number`` is its place among the audited ones."""
    report = outcome.report
    rules = [j.law for j in report.judgements]
    results = [result for j in report.judgements for result in _results(j, outcome, rules)]
    invocation = {
        "executionSuccessful": True,
        "exitCode": int(outcome.code),
        "toolExecutionNotifications": list(_notes(outcome, rules)),
    }
    counts = ("judged", "failed", "undecided", "by_model")
    return {
        **_head(report.run.name, number, rules),
        "invocations": [invocation],
        "artifacts": [
            {"location": {"uri": _uri(file)}, "hashes": {"sha-256": digest}}
            for file, digest in report.run.inputs.items()
        ],
        "results": results,
        "properties": {
            "name": clean(report.run.name),
            "verdict": report.verdict.value,
            "laws": {
                j.law: {"verdict": j.verdict.value, **{name: int(getattr(j, name)) for name in counts}}
                for j in report.judgements
            },
        },
    }


def sarif_unread(path: str, error: Exception, number: int = 1) -> dict[str, Any]:
    """The run of a path that could not be read: no result, and the error as a notification."""
    note = _notification("error", str(error))
    invocation = {"executionSuccessful": False, "exitCode": 2, "toolExecutionNotifications": [note]}
    return {**_head(path, number, []), "invocations": [invocation], "results": []}


def _head(name: str, number: int, rules: Iterable[str]) -> dict[str, Any]:
    category = clean(name).replace("/", "-").replace("\n", " ")
    driver = {"name": "fillproof", "version": versions()["fillproof"], "rules": [_rule(law) for law in rules]}
    return {"tool": {"driver": driver}, "automationDetails": {"id": f"fillproof/{number}-{category}/"}}


def _rule(name: str) -> dict[str, Any]:
    law = next((law for law in LAWS if law.name == name), None)
    if law is None:
        return {"id": name}
    text = "\n\n".join(f"{title}: {body}" for title, body in sections(law.doc))
    return {
        "id": name,
        "shortDescription": {"text": _message(law.statement)},
        "help": {"text": _message(f"{law.statement}\n\n{text}")},
        "defaultConfiguration": {"level": "error"},
    }


def _results(judgement: Judgement, outcome: Outcome, rules: list[str]) -> Iterator[dict[str, Any]]:
    head = {"ruleId": judgement.law, "ruleIndex": rules.index(judgement.law)}
    waiver = outcome.excuse(judgement.law)
    for finding, is_new in zip(judgement.findings, outcome.are_new(judgement), strict=True):
        result = {
            **head,
            "kind": "fail",
            "level": "error",
            "message": {"text": _message(finding)},
            "locations": [_location(finding.file or finding.table, finding.row)],
            "partialFingerprints": {_FINGERPRINT: _digest(finding.law, finding.table, finding.message)},
            "properties": {"table": finding.table, "row": None if finding.row is None else int(finding.row)},
        }
        if outcome.waived is not None:
            result["suppressions"] = [] if waiver is None else [_suppression(waiver)]
        if outcome.before is not None:
            result["baselineState"] = "new" if is_new else "unchanged"
        yield result
    for model in judgement.modelled:
        text = f"{judgement.law}: {model.count:,} rows deviate as the declared rules document: {model.kind}: "
        yield {
            **head,
            "kind": "informational",
            "level": "none",
            "message": {"text": _message(text + model.source)},
            "locations": [_location(outcome.report.run.files.get("fills") or "fills", None)],
            "partialFingerprints": {_FINGERPRINT: _digest(judgement.law, "by_model", model.kind)},
            **_state_of_model(judgement.law, model.kind, model.count, outcome),
        }


def _state_of_model(law: str, kind: str, count: int, outcome: Outcome) -> dict[str, str]:
    """New, unchanged, or known with another count."""
    if outcome.before is None:
        return {}
    before = {
        (told["law"], model["kind"]): model["count"] for told in outcome.before["laws"] for model in told["modelled"]
    }
    state = {None: "new", count: "unchanged"}.get(before.get((law, kind)), "updated")
    return {"baselineState": state}


def _suppression(waiver: Waiver) -> dict[str, Any]:
    text = f"{waiver.reason} (waived until {waiver.expires}, failed = {waiver.failed})"
    return {"kind": "external", "status": "accepted", "justification": clean(text)}


def _notes(outcome: Outcome, rules: list[str]) -> Iterator[dict[str, Any]]:
    for judgement in outcome.report.judgements:
        if judgement.verdict is Verdict.UNKNOWN:
            text = f"{judgement.law} could not be told: {judgement.reason}"
            rule = {"id": judgement.law, "index": rules.index(judgement.law)}
            yield {**_notification("warning", text), "associatedRule": rule}
    rejected = outcome.report.run.rejected
    if len(rejected) > LISTED:
        yield _notification("warning", f"{len(rejected):,} rows could not be judged; the first {LISTED} are listed")
    for row in rejected[:LISTED]:
        text = f"{row.file} row {row.row} could not be judged: {row.field}: got {row.got}, wanted {row.wanted}"
        yield {**_notification("warning", text), "locations": [_location(row.file or row.table, row.row)]}


def _notification(level: str, text: str) -> dict[str, Any]:
    return {"level": level, "message": {"text": _message(text)}}


def _message(text: Any) -> str:
    """Plain text: no control characters, and no brackets that a viewer would make a link of."""
    said = clean(text)
    if "](" not in said:
        return said
    return said.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def _location(file: str, row: int | None) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(file)}}
    if row is not None and row > 0:
        place["region"] = {"startLine": line_of(file, int(row)) if file.endswith(_CSV) else int(row)}
    return {"physicalLocation": place}


def _uri(file: str) -> str:
    """Relative to the working directory where the file is inside it; always a valid URI reference."""
    if "://" in file:
        return _STRAY.sub("%25", quote(_octets(file), safe="/:?@!$&'()*+,;=%"))
    path = Path(file)
    if not path.is_absolute():
        return quote(_octets(path.as_posix()), safe="/")
    if path.is_relative_to(Path.cwd()):
        return quote(_octets(path.relative_to(Path.cwd()).as_posix()), safe="/")
    return "file://" + quote(_octets(path.as_posix()), safe="/")


def _octets(name: str) -> bytes:
    """The bytes of a file's name; a lone surrogate that is none of them stays one."""
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass")


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
