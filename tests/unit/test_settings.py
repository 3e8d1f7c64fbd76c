"""Settings from environment variables."""

from datetime import timedelta

import pytest

from exporttiles.settings import Settings

VARIABLES = {"TILE_BUCKET": "tiles", "PACKAGE_BUCKET": "packages", "JOB_TABLE": "jobs"}


def test_unset_variables_have_the_defaults_of_the_template():
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


def test_the_lifetime_of_kept_packages_is_not_shorter_than_that_of_others():
    assert Settings.from_environment(VARIABLES).kept_lifetime == timedelta(days=35)
    with pytest.raises(ValueError, match="KEPT_LIFETIME_DAYS must be at least JOB_LIFETIME_DAYS"):
        Settings.from_environment(VARIABLES | {"JOB_LIFETIME_DAYS": "36"})


@pytest.mark.parametrize(
    ("name", "text", "legal"),
    [
        ("JOB_LIFETIME_DAYS", "three", "a whole number"),
        ("KEPT_LIFETIME_DAYS", "9" * 20, "a whole number"),
        ("WORKER_MEMORY", "1 GB", "a whole number"),
        ("TOKEN_SECURITY", "yes", "on or off"),
    ],
)
def test_an_illegal_value_is_shown_with_its_variable(name, text, legal):
    with pytest.raises(ValueError, match=f"{name} is '{text}'. It must be {legal}."):
        Settings.from_environment(VARIABLES | {name: text})
