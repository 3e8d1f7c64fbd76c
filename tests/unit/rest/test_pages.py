"""HTML pages, in which all input is escaped."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.job import Operation
from exporttiles.rest import pages
from exporttiles.rest.parameter_names import PARAMETERS

HOSTILE = "<script>alert(1)</script>\"'&${title}"


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_nothing_from_outside_becomes_markup():
    page = pages.page(
        HOSTILE,
        {HOSTILE: HOSTILE},
        pages.paragraph(HOSTILE),
        pages.links({HOSTILE: HOSTILE}),
        pages.value({HOSTILE: [HOSTILE, {"url": f"https://a.org/{HOSTILE}"}]}, "https://a.org"),
        pages.button(HOSTILE, HOSTILE),
        pages.export_form(HOSTILE, Operation.EXPORT_TILES, dict.fromkeys(PARAMETERS, HOSTILE), HOSTILE),
        pages.problem(HOSTILE),
        pages.sign_in_form(HOSTILE),
        signed_in_as=HOSTILE,
    )

    assert [attributes.keys() for tag, attributes in Tags(page).found if tag == "script"] == [{"type", "src"}]
    assert not [attributes for _, attributes in Tags(page).found if any(name.startswith("on") for name in attributes)]


@given(
    st.recursive(st.none() | st.booleans() | st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part))
)
def test_no_document_adds_a_tag_to_its_page(document):
    allowed = {"table", "tr", "th", "td", "br", "a"}

    assert {tag for tag, _ in Tags(pages.value(document, "https://a.org")).found} <= allowed


def test_an_address_of_the_api_is_a_link():
    document = {"rows": [{"url": "https://a.org/x"}], "list": ["https://a.org/y"]}

    shown = pages.value(document, "https://a.org")

    assert '<a href="https://a.org/x">https://a.org/x</a>' in shown
    assert '<a href="https://a.org/y">https://a.org/y</a>' in shown


@pytest.mark.parametrize("text", ["https://b.org/x", "https://a.org.b.org/x", "javascript:alert(1)", "/x", "https:/"])
@pytest.mark.parametrize("own_url", ["https://a.org", ""])
def test_a_text_from_outside_that_looks_like_an_address_is_no_link(text, own_url):
    assert pages.value([{"name": text}], own_url) == pages.value([{"name": "NAME"}]).replace("NAME", text)


def test_the_form_has_every_documented_parameter_and_requests_html():
    tags = Tags(pages.export_form("https://a.org", Operation.EXPORT_TILES)).found

    names = {attributes["name"] for tag, attributes in tags if tag in ("input", "select", "textarea")}
    assert names == {*PARAMETERS, "f"}


def test_a_page_reloads_only_with_refresh_seconds():
    assert "refresh" not in pages.page("t", {})
    assert '<meta http-equiv="refresh" content="3">' in pages.page("t", {}, refresh_seconds=3)


def test_a_form_shows_the_common_parameters_and_the_others_on_request():
    common, _, others = pages.export_form("/", Operation.EXPORT_TILES).partition("<details>")
    given = pages.export_form("/", Operation.EXPORT_TILES, {"clip": "true"})

    assert 'id="levels"' in common
    assert 'id="clip"' in others
    assert "<details open>" in given


def test_the_field_that_cannot_be_used_is_marked():
    form = pages.export_form("/", Operation.EXPORT_TILES, {"clip": "x"}, "clip")

    marked = [attributes["name"] for _, attributes in Tags(form).found if "aria-invalid" in attributes]
    assert marked == ["clip"]
    assert "<details open>" in form


def test_numbers_are_listed_in_a_line():
    assert pages.value([1, 0, 1]) == "1, 0, 1"
