"""The result of the packer, for the end of the job."""

from dataclasses import astuple, dataclass, field
from typing import Any

from exporttiles.domain.cost import Usage
from exporttiles.messages.flawed_tiles import FlawedTiles


@dataclass(frozen=True, slots=True)
class PartlyPacked:
    """A package that the next invocation of the packer goes on with.

    Attributes:
        used: by the packer so far.
        packers: invocations so far.
    """

    used: Usage = field(default_factory=Usage)
    packers: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the members as JSON."""
        return {"finished": False, "used": astuple(self.used), "packers": self.packers}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "PartlyPacked":
        """Read a JSON document."""
        return cls(Usage(*document["used"]), document["packers"])


@dataclass(frozen=True, slots=True)
class PackedPackage:
    """The finished package, passed from the packer to CloseJob in the state of the workflow.

    A delta without tiles has no file: its key is empty and its size 0.

    Attributes:
        missing_count: selected tiles that the cache does not have.
        empty_levels: requested levels of which the cache has none of the selected tiles.
        empty_tile_count: selected tiles of these levels.
        skipped_count: tiles without contents that are left out on request.
        packers: invocations of the packer.
    """

    key: str
    name: str
    size_bytes: int
    crc32: int
    tile_count: int
    missing_count: int
    left_out: FlawedTiles
    not_recompressed: FlawedTiles
    source_bytes: int
    used: Usage
    work_items: int
    up_to_date_count: int = 0
    empty_levels: tuple[int, ...] = ()
    empty_tile_count: int = 0
    at_once: bool = False
    warnings: tuple[str, ...] = ()
    skipped_count: int = 0
    packers: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the members as JSON."""
        members = {name: getattr(self, name) for name in self.__slots__}
        del members["not_recompressed"]
        flawed = {"left_out": self.left_out.to_json(), "unchanged": self.not_recompressed.to_json()}
        return {"finished": True} | members | flawed | {"used": astuple(self.used)}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "PackedPackage":
        """Return the package of a JSON document."""
        members = {name: value for name, value in document.items() if name != "finished"}
        members["left_out"] = FlawedTiles.from_json(document["left_out"])
        members["not_recompressed"] = FlawedTiles.from_json(members.pop("unchanged"))
        members["used"] = Usage(*document["used"])
        members |= {name: tuple(document.get(name, ())) for name in ("empty_levels", "warnings")}
        return cls(**members)
