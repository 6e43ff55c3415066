"""The report as a page: one file that opens from disk, loads nothing, and runs no script but its own."""

from invariants.report.page.document import page_of

__all__ = ["page_of"]
