"""Areas as JSON, as jobs store them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exporttiles.domain.area import Area
from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from exporttiles.formats.areas.area_json import read_area, write_area

rings = arrays(
    np.float64, st.tuples(st.integers(3, 6), st.just(2)), elements=st.floats(allow_nan=False, allow_infinity=False)
)
polygons = st.lists(st.lists(rings, min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple)


@given(polygons=polygons)
def test_an_area_comes_back_to_the_last_bit(polygons):
    area = Area(polygons, WGS84)

    back = read_area(json.loads(json.dumps(write_area(area))))

    assert back.spatial_reference == WGS84
    assert [[ring.tobytes() for ring in polygon] for polygon in back.polygons] == [
        [ring.tobytes() for ring in polygon] for polygon in polygons
    ]


def test_an_area_is_written_as_plain_lists():
    area = Area.from_rings([[[[0, 0], [1, 0], [0, 1]]]], SpatialReference(102100, 3857))

    assert write_area(area) == {
        "polygons": [[[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]],
        "spatialReference": {"wkid": 102100, "latestWkid": 3857},
    }


@pytest.mark.parametrize("document", [{}, {"polygons": [[[[1, 2, 3]]]]}, {"polygons": 5}, {"polygons": [[["a"]]]}])
def test_documents_that_are_not_areas_are_refused(document):
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_area(document)
