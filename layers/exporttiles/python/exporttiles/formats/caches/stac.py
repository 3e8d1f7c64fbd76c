"""Read STAC documents: which rasters an item, an item collection or a static catalog names, and in which order.

Only files below the folder of the first document are legal; other addresses are refused, never fetched.

Source: SpatioTemporal Asset Catalog specification 1.0.0 and 1.1.0.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from exporttiles.formats.esri.values import DocumentValueError, member, read_json, shown

STAC_SUFFIX = ".json"

_TIFF = "image/tiff"
_SUFFIXES = (".tif", ".tiff")
_ROLES = ("visual", "data")
"""Roles that choose one of several rasters, the first one that only one of them has."""

_MAX_ADDRESS = 2048
"""Limit of the characters of an address; keys of S3 have up to 1,024 bytes."""

_MAX_TEXT = 2000
"""Limit of the characters of a title, description or name that are kept."""


@dataclass(frozen=True, slots=True)
class StacItem:
    """A raster of an item.

    Attributes:
        key: of the file, below the folder of the first document.
        asset: its key among the assets.
        time: of the image; the end of a period.
    """

    key: str
    asset: str
    time: datetime


@dataclass(frozen=True, slots=True)
class StacDocument:
    """The contents of one document.

    Attributes:
        items: in the order of the document.
        links: keys of the documents of items and child catalogs, in the order of the document.
        title, description: of the whole document; '' if it states none.
        credits: the names of the providers, with the license, of the document and its items.
        has_next_page: the document is one page of several.
    """

    items: tuple[StacItem, ...]
    links: tuple[str, ...] = ()
    title: str = ""
    description: str = ""
    credits: tuple[str, ...] = ()
    has_next_page: bool = False


@dataclass(frozen=True, slots=True)
class StacReader:
    """Reads documents below a folder.

    Attributes:
        folder: its address, such as s3://bucket/stac.
        asset: key of the asset of each item; '' for the only raster, or the only one of the role visual, else data.
    """

    folder: str
    asset: str = ""

    def read(self, key: str, body: bytes) -> StacDocument:
        """Return the contents of a document.

        Args:
            key: of the document, below the folder.
            body: JSON from outside.

        Raises:
            DocumentValueError: it is not STAC, or names a file elsewhere; the message begins with the member.
        """
        document = read_json(body)
        kind = document.get("type")
        texts = (_text(document.get("title")), _text(document.get("description")))
        if kind == "Feature":
            properties = member(document, "properties")
            texts = _text(properties.get("title")), _text(properties.get("description"))
            return StacDocument((self._item(key, document, ""),), (), *texts, credits=_credits(properties))
        if kind == "FeatureCollection":
            features = _objects(document, "features")
            items = tuple(self._item(key, item, f"features[{place}].") for place, item in enumerate(features))
            stated = dict.fromkeys(credit for item in features for credit in _credits(item["properties"]))
            has_next = any(link.get("rel") == "next" for link in _objects(document, "links", is_optional=True))
            return StacDocument(items, (), *texts, credits=tuple(stated), has_next_page=has_next)
        if kind in ("Catalog", "Collection"):
            links = _objects(document, "links")
            keys = tuple(
                self._key(key, link.get("href"), f"links[{place}].href")
                for place, link in enumerate(links)
                if link.get("rel") in ("item", "child")
            )
            return StacDocument((), keys, *texts, credits=_credits(document))
        raise DocumentValueError(
            f"type '{shown(kind)}' is not one of STAC. It must be Feature, FeatureCollection, Collection or Catalog."
        )

    def _item(self, key: str, item: Mapping[str, Any], place: str) -> StacItem:
        """Return the raster of an item. `place` is that of the item in its document, for messages."""
        try:
            properties, assets = member(dict(item), "properties"), member(dict(item), "assets")
            name = self._asset(assets)
            href = self._key(key, assets[name].get("href"), f"assets.{shown(name)}.href")
            return StacItem(href, name, _time(properties))
        except DocumentValueError as error:
            raise DocumentValueError(f"{place}{error}") from error

    def _asset(self, assets: Mapping[str, Any]) -> str:
        """Return the key of the asset that is drawn."""
        known = {name: asset for name, asset in assets.items() if isinstance(asset, dict)}
        if self.asset:
            if self.asset not in known:
                raise DocumentValueError(
                    f"assets has no '{shown(self.asset)}', which --asset names. It has {_names(known)}."
                )
            return self.asset
        rasters = [name for name, asset in known.items() if _is_tiff(asset)]
        if not rasters:
            raise DocumentValueError(f"assets has no GeoTIFF (type {_TIFF}). It has {_names(known)}.")
        for chosen in (rasters, *([name for name in rasters if _has_role(known[name], role)] for role in _ROLES)):
            if len(chosen) == 1:
                return chosen[0]
        raise DocumentValueError(
            f"assets has several GeoTIFFs: {_names(dict.fromkeys(rasters))}. Choose one with --asset."
        )

    def _key(self, document: str, href: object, name: str) -> str:
        """Return the key of a file that a document names.

        Raises:
            DocumentValueError: it is no address, or leads out of the folder.
        """
        if not isinstance(href, str) or not 0 < len(href) <= _MAX_ADDRESS or not href.isprintable():
            raise DocumentValueError(f"{name} '{shown(href)}' is not the address of a file.")
        parts = document.split("/")[:-1]
        address = f"file://{href}" if href.startswith("/") else href
        if address != href or "://" in href:
            parts = []
            root = f"{self.folder}/"
            path = address.removeprefix(root)
            is_legal = address.startswith(root)
        else:
            path, is_legal = href, True
        for part in path.split("/"):
            if part == "..":
                is_legal = is_legal and bool(parts)
                del parts[-1:]
            elif part not in ("", "."):
                parts.append(part)
        if not is_legal or path.split("/")[-1] in ("", ".", ".."):
            raise DocumentValueError(
                f"{name} '{shown(href)}' is not a file below {self.folder}/, the folder of the first document. Files "
                "elsewhere are not read: copy them there, and name them by relative paths."
            )
        return "/".join(parts)


def _objects(document: Mapping[str, Any], name: str, *, is_optional: bool = False) -> list[dict[str, Any]]:
    """Return a list of objects inside an object.

    Raises:
        DocumentValueError: it is none.
    """
    found = document.get(name, [] if is_optional else None)
    if not isinstance(found, list):
        raise DocumentValueError(f"{name} is missing." if found is None else f"{name} '{shown(found)}' is not a list.")
    for place, each in enumerate(found):
        if not isinstance(each, dict):
            raise DocumentValueError(f"{name}[{place}] '{shown(each)}' is not an object.")
    return found


def _is_tiff(asset: Mapping[str, Any]) -> bool:
    media_type, href = asset.get("type"), asset.get("href")
    if isinstance(media_type, str):
        return media_type.partition(";")[0].strip().lower() == _TIFF
    return isinstance(href, str) and href.lower().endswith(_SUFFIXES)


def _has_role(asset: Mapping[str, Any], role: str) -> bool:
    roles = asset.get("roles")
    return isinstance(roles, list) and role in roles


def _names(assets: Mapping[str, Any]) -> str:
    shown_names = [f"'{shown(name)}'" for name in assets]
    return ", ".join(shown_names[:20]) + (", and others" if len(shown_names) > 20 else "") or "none"


def _time(properties: Mapping[str, Any]) -> datetime:
    """Return the time of an item, or the end of its period.

    Raises:
        DocumentValueError: it is missing, or no time.
    """
    name = "datetime" if properties.get("datetime") is not None else "end_datetime"
    value = properties.get(name)
    if value is None:
        raise DocumentValueError("properties.datetime is missing, and so is properties.end_datetime.")
    try:
        found = datetime.fromisoformat(value if isinstance(value, str) else "")
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DocumentValueError(
            f"properties.{name} '{shown(value)}' is not a time such as 2026-05-01T10:30:00Z."
        ) from error


def _credits(stated: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the providers, with the license; empty if there are neither."""
    providers = stated.get("providers")
    names = list(dict.fromkeys(_provider_names(providers if isinstance(providers, list) else [])))
    license_name = _text(stated.get("license"))
    if license_name in ("proprietary", "various", "other"):  # words of STAC that name no license
        license_name = ""
    credit = ", ".join(names) + (f" ({license_name})" if names and license_name else license_name)
    return (credit,) if credit else ()


def _provider_names(providers: list[Any]) -> Iterator[str]:
    for provider in providers:
        if name := _text(provider.get("name") if isinstance(provider, dict) else None):
            yield name


def _text(value: object) -> str:
    """Return a text of a document in printable characters, cut short; '' for other values."""
    words = " ".join(value[: 2 * _MAX_TEXT].split()) if isinstance(value, str) else ""
    return "".join(letter if letter.isprintable() else "?" for letter in words)[:_MAX_TEXT]
