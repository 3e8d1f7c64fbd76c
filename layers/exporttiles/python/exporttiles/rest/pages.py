"""HTML pages of the services directory: one layout, everything escaped. They work without their script, too.

A page shows the JSON document of a resource, below links and forms for its
operations.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from exporttiles.domain.export import StorageFormat
from exporttiles.domain.job import Operation
from exporttiles.rest.addresses import ROOT
from exporttiles.rest.assets import asset_path
from exporttiles.rest.levels import ExportBy
from exporttiles.rest.parameter_names import PARAMETERS, documented_names

REFRESH_SECONDS = 3

RECENT = """<section id="recent" hidden>
<h2>Recent exports in this browser</h2>
<ul></ul>
<button type="button">Forget them</button>
</section>"""
"""The list of exports that the browser remembers; its script fills it."""

_CHOICES: dict[str, Sequence[str]] = {
    "tilePackage": ("true", "false"),
    "storageFormatType": sorted(StorageFormat, key=lambda each: each is not StorageFormat.COMPACT_V2),
    "exportBy": [*ExportBy],
    "optimizeTilesForSize": ("false", "true"),
}
"""Legal values of the parameters that are enumerations."""

_COMMON = ("areaOfInterest", "exportExtent", "levels", "storageFormatType", "tilePackage")
"""Parameters that most exports need; a form shows the others on request."""

_SUBMIT = {Operation.EXPORT_TILES: "Export", Operation.ESTIMATE_EXPORT_TILES_SIZE: "Estimate the size"}


def page(
    title: str,
    trail: Mapping[str, str],
    *sections: str,
    json_url: str = "",
    refresh_seconds: int = 0,
    next_path: str = "",
    signed_in_as: str = "",
) -> str:
    """Return a page.

    Args:
        title: plain text.
        trail: breadcrumbs from the root to this page: URL by text.
        sections: HTML.
        json_url: URL of the same document as JSON; '' for none.
        refresh_seconds: interval at which the page reloads without its script; 0 for never.
        next_path: percent-encoded path that the browser opens at once; '' to stay.
        signed_in_as: name of the API key of the caller; '' for none.
    """
    refresh = (
        f'\n<noscript><meta http-equiv="refresh" content="{refresh_seconds}"></noscript>' if refresh_seconds else ""
    )
    if next_path:
        refresh += f'\n<meta http-equiv="refresh" content="0;url={escape(next_path)}">'
    has_map = any("data-map=" in section or "data-job-map" in section for section in sections)
    preload = f'\n<link rel="modulepreload" href="{asset_path("openlayers", ".js")}">' if has_map else ""
    breadcrumbs = " / ".join(link(text, url) for text, url in trail.items())
    footer = f"<footer>{link('JSON', json_url)}</footer>" if json_url else ""
    body = "\n".join(sections)
    return _layout().substitute(
        title=escape(title),
        trail=breadcrumbs,
        session=_session(signed_in_as) if signed_in_as else "",
        body=body,
        footer=footer,
        refresh=refresh,
        style=asset_path("page", ".css"),
        script=asset_path("page", ".js"),
        preload=preload,
    )


def _session(name: str) -> str:
    return f'<span class="session">{escape(name)} {button("Sign out", f"{ROOT}/logout")}</span>'


@cache
def _layout() -> Template:
    return Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


def link(text: str, url: str) -> str:
    """Return a link."""
    return f'<a href="{escape(url)}">{escape(text)}</a>'


def links(targets: Mapping[str, str]) -> str:
    """Return a list of links: URL by text."""
    return "<ul>" + "".join(f"<li>{link(text, url)}</li>" for text, url in targets.items()) + "</ul>"


def details(summary: str, section: str) -> str:
    """Return HTML that is shown on request."""
    return f"<details><summary>{escape(summary)}</summary>{section}</details>"


def paragraph(text: str, css_class: str = "") -> str:
    """Return a paragraph of plain text."""
    attribute = f' class="{css_class}"' if css_class else ""
    return f"<p{attribute}>{escape(text)}</p>" if text else ""


def paragraph_of(section: str) -> str:
    """Return HTML as a paragraph."""
    return f"<p>{section}</p>"


def problem(text: str) -> str:
    """Return the reason why a request is refused; the invalid field of a form refers to it."""
    return f'<p class="error" id="problem" role="alert">{escape(text)}</p>'


def value(content: Any, own_url: str = "") -> str:
    """Return a JSON value as nested tables, lists, links and text.

    Args:
        content: the value.
        own_url: URL of `ROOT`; addresses below it become links, and those in texts from outside do not. '' for none.
    """
    match content:
        case Mapping():
            rows = (
                f"<tr><th>{escape(str(name))}</th><td>{value(part, own_url)}</td></tr>"
                for name, part in content.items()
            )
            return f"<table>{''.join(rows)}</table>"
        case [Mapping() as first, *_] if first and all(_is_like(row, first) for row in content):
            return _rows([*map(str, first)], content, own_url)
        case [int() | float(), *_]:
            return escape(", ".join(map(str, content)))
        case list():
            return "<br>".join(value(part, own_url) for part in content) or "none"
        case str() if own_url and content.startswith(f"{own_url}/"):
            return link(content, content)
        case bool():
            return str(content).lower()
        case None:
            return "none"
    return escape(str(content))


def _is_like(content: Any, first: Mapping[str, Any]) -> bool:
    return isinstance(content, Mapping) and content.keys() == first.keys()


def _rows(names: Sequence[str], content: Sequence[Mapping[str, Any]], own_url: str) -> str:
    """Return objects with the same members as a table, one row each."""
    heads = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = ("".join(f"<td>{value(row[name], own_url)}</td>" for name in names) for row in content)
    return f'<table class="rows"><tr>{heads}</tr>{"".join(f"<tr>{line}</tr>" for line in lines)}</table>'


def export_form(url: str, operation: Operation, values: Mapping[str, str] | None = None, invalid_name: str = "") -> str:
    """Return the form for an export or an estimate: the common parameters, and all others on request.

    Args:
        url: that receives the form.
        operation: of the form.
        values: of parameters, as they were sent before.
        invalid_name: parameter that cannot be used; '' for none.
    """
    given = documented_names(values or {})
    rows = {}
    for name, hint in PARAMETERS.items():
        field = _field(name, given.get(name, ""), is_invalid=name == invalid_name)
        label = f'<label for="{name}">{name}</label>'
        rows[name] = f"<tr><th>{label}</th><td>{field}<small>{escape(hint)}</small></td></tr>"
    others = [name for name in PARAMETERS if name not in _COMMON]
    is_open = any(given.get(name) or name == invalid_name for name in others)
    more = (
        f"<details{' open' * is_open}><summary>More parameters</summary>"
        f"<table>{''.join(rows[name] for name in others)}</table></details>"
    )
    return _form(url, f"<table>{''.join(rows[name] for name in _COMMON)}</table>{more}", _SUBMIT[operation])


def sign_in_form(back: str) -> str:
    """Return the sign-in form: name of an API key, and the key itself.

    Args:
        back: path of the page to return to.
    """
    rows = (
        '<tr><th><label for="username">Name of the key</label></th>'
        '<td><input type="text" id="username" name="username" autocomplete="username"></td></tr>'
        '<tr><th><label for="password">Key</label></th>'
        '<td><input type="password" id="password" name="password" autocomplete="current-password"></td></tr>'
    )
    return_to = f'<input type="hidden" name="back" value="{escape(back)}">'
    return _form(f"{ROOT}/generateToken", f"<table>{rows}</table>{return_to}", "Sign in")


def button(text: str, url: str) -> str:
    """Return a button that posts to a URL."""
    return _form(url, "", text)


def _form(url: str, fields: str, submit: str) -> str:
    hidden = '<input type="hidden" name="f" value="html">'
    end = f"{hidden}<button>{escape(submit)}</button></form>"
    return f'<form class="form" method="post" action="{escape(url)}">{fields}{end}'


def progress_bar(percent: int | None) -> str:
    """Return a progress bar; None shows progress of unknown extent."""
    return "<progress></progress>" if percent is None else f'<progress max="100" value="{percent}"></progress>'


def _field(name: str, given: str, *, is_invalid: bool) -> str:
    attributes = f'id="{name}" name="{name}"' + ' aria-invalid="true" aria-describedby="problem"' * is_invalid
    if name in _CHOICES:
        options = "".join(
            f"<option{' selected' * (choice == given)}>{escape(choice)}</option>" for choice in _CHOICES[name]
        )
        return f"<select {attributes}>{options}</select>"
    if name == "areaOfInterest":
        return f'<textarea {attributes} rows="4">{escape(given)}</textarea>'
    return f'<input type="text" {attributes} value="{escape(given)}">'
