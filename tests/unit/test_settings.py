"""The environment of a function, checked once."""

from datetime import timedelta

import pytest

from exporttiles.settings import Settings

VARIABLES = {"TILE_BUCKET": "tiles", "PACKAGE_BUCKET": "packages", "JOB_TABLE": "jobs"}


def test_what_is_not_set_has_the_template_s_defaults():
    settings = Settings.from_environment(VARIABLES)

    assert (settings.tile_bucket, settings.package_bucket, settings.job_table) == ("tiles", "packages", "jobs")
    assert settings.job_lifetime == timedelta(days=3)
    assert settings.public_base_url == ""


def test_a_base_url_has_no_final_slash():
    settings = Settings.from_environment(VARIABLES | {"PUBLIC_BASE_URL": "https://maps.example.org/"})

    assert settings.public_base_url == "https://maps.example.org"


@pytest.mark.parametrize("name", VARIABLES)
def test_a_missing_variable_is_named(name):
    with pytest.raises(ValueError, match=name):
        Settings.from_environment({key: value for key, value in VARIABLES.items() if key != name})


def test_a_kept_package_does_not_go_before_another():
    assert Settings.from_environment(VARIABLES).kept_lifetime == timedelta(days=35)
    with pytest.raises(ValueError, match="KEPT_LIFETIME_DAYS must be at least JOB_LIFETIME_DAYS"):
        Settings.from_environment(VARIABLES | {"JOB_LIFETIME_DAYS": "36"})
