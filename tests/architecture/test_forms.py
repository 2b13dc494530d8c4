"""What every form of the pages must hold."""

from __future__ import annotations

import re

from tests.architecture.source import text_files

FORM = re.compile(r"<form\b(?P<tag>(?:\{\{.*?\}\}|\{%.*?%\}|[^>])*)>(?P<body>.*?)</form>", re.DOTALL)


def test_every_form_that_is_sent_by_get_carries_on_where_it_is_since_its_actions_query_is_dropped() -> None:
    pages = [file for file in text_files() if file.path.startswith("app/web/templates/")]
    sent_by_get = [
        (file.path, form["body"])
        for file in pages
        for form in FORM.finditer(file.text)
        if 'method="post"' not in form["tag"]  # a form that says nothing is sent by GET too
    ]
    assert sent_by_get
    assert [path for path, body in sent_by_get if "ui.carried()" not in body] == []
