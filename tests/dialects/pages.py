"""The pages of docs/dialects."""

from tests.servers import REPOSITORY


def page(dialect: str) -> str:
    """The text of one."""
    return (REPOSITORY / "docs" / "dialects" / f"{dialect}.md").read_text("utf-8")
