"""The report of an audit, as JSON (with its schema), as text for a person, as HTML for a notebook."""

from invariants.report.as_html import report_frame, report_html, report_page
from invariants.report.as_json import report_bytes, report_dict
from invariants.report.as_text import print_report, report_text
from invariants.report.read import read_report, schema
from invariants.report.write import spare, write_atomically

__all__ = [
    "print_report",
    "read_report",
    "report_bytes",
    "report_dict",
    "report_frame",
    "report_html",
    "report_page",
    "report_text",
    "schema",
    "spare",
    "write_atomically",
]
