"""A person signs in with a browser, exports, and signs out."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from exporttiles.adapters.json_folders import ApiKeys
from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.domain.api_key import ApiKey, key_id_of, token_of
from local.cloud import LocalCloud
from local.services import publish, store_of
from tests.browser import chromium, obstacles, watched_page
from tests.builders import a_tile

KEY = token_of(bytes(32))


@pytest.fixture(scope="module")
def services():
    with LocalCloud(parameters={"TokenSecurity": "on"}) as cloud:
        objects = ObstoreObjects(store_of(cloud))
        for level, row, column in [(0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1)]:
            objects.write(f"caches/Secret/{level}/{column}/{row}.jpg", a_tile(level, row, column))
        soon = datetime.now(UTC) + timedelta(days=1)
        ApiKeys(objects).put(ApiKey(key_id_of(KEY), "field.crew", ("*",), 1000, soon))
        publish(cloud, "Secret")
        yield cloud.services_url


@pytest.fixture(scope="module")
def browser(services):
    with chromium() as browser:
        yield browser


def sign_in(page, key):
    page.get_by_label("Name of the key").fill("field.crew")
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Sign in").click()


def test_a_person_signs_in_exports_and_signs_out(browser, services):
    service = f"{services}/Secret/ImageServer"
    refused = ("499", "400 (Bad Request)")  # pages that ask to sign in have these statuses
    with watched_page(browser, "phone", expected=refused) as page:
        page.goto(service)
        assert obstacles(page) == []
        sign_in(page, "wrong")
        expect(page.get_by_text("Invalid username or password")).to_be_visible()
        sign_in(page, KEY)
        page.wait_for_url(service)

        page.get_by_role("button", name="All of it").click()
        expect(page.locator("#estimate")).to_contain_text("5 tiles, about")
        page.get_by_role("button", name="Make the package").click()
        page.wait_for_url("**/jobs/*")
        with page.expect_download() as package:
            page.get_by_role("link", name="Download").click()
        assert package.value.suggested_filename == "Secret.tpkx"
        expect(page.locator("pre")).to_contain_text("Authorization: Bearer $TOKEN")
        assert KEY not in page.content() + page.url

        page.get_by_role("button", name="Sign out").click()
        page.goto(service)
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_key_that_ends_while_the_page_is_open_is_explained(browser, services):
    with watched_page(browser, expected=("499",)) as page:
        page.goto(f"{services}/Secret/ImageServer")
        sign_in(page, KEY)
        page.context.clear_cookies()
        page.get_by_role("button", name="All of it").click()

        expect(page.locator("#estimate")).to_contain_text("You are not signed in any more.")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_label("Key", exact=True)).to_be_visible()


def test_a_link_with_a_token_signs_in_and_leaves_the_address(browser, services):
    with watched_page(browser) as page:
        page.goto(f"{services}/Secret/ImageServer?token={KEY}&f=html")
        page.wait_for_url(f"{services}/Secret/ImageServer?f=html")
        page.get_by_role("button", name="All of it").click()
        expect(page.locator("#estimate")).to_contain_text("5 tiles, about")

        page.go_back()
        assert KEY not in page.url


def test_a_person_who_is_signed_in_may_follow_a_link_on_another_site(browser, services):
    with watched_page(browser) as page:
        page.goto(f"{services}?token={KEY}&f=html")
        page.wait_for_url(f"{services}?f=html")
        page.goto(f'data:text/html,<a href="{services}/Secret/ImageServer">Our map</a>')
        page.get_by_role("link", name="Our map").click()

        expect(page.get_by_role("button", name="All of it")).to_be_visible()
