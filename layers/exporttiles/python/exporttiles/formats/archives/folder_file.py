"""A folder as one `RangedFile`: its files concatenated."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate, groupby
from typing import BinaryIO

from exporttiles.formats.archives.ranged_file import RangedFile, Span, StoredMember


def read_folder(
    sizes_bytes: Mapping[str, int], open_file: Callable[[str], BinaryIO]
) -> tuple[RangedFile, list[StoredMember]]:
    """Return the concatenated file and the members in it.

    Args:
        sizes_bytes: of all files, by their paths below the folder.
        open_file: opens one of them, seekable, for reading bytes.
    """
    ends = list(accumulate(sizes_bytes.values()))
    places = zip(sizes_bytes.items(), ends, strict=True)
    members = [StoredMember(name, size, 0, end - size, end - size) for (name, size), end in places]
    return RangedFile(sum(sizes_bytes.values()), partial(_read_ranges, members, open_file)), members


def _read_ranges(
    members: Sequence[StoredMember], open_file: Callable[[str], BinaryIO], spans: Sequence[Span]
) -> Iterator[bytes]:
    starts = [member.offset for member in members]
    for member, group in groupby(spans, lambda span: members[bisect_right(starts, span[0]) - 1]):
        with open_file(member.name) as opened:
            file = RangedFile.of(opened)
            for start, stop in group:
                yield file.read(start - member.offset, stop - member.offset)
