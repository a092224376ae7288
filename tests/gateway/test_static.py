"""The page as a browser gets it."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from chiron.server.gateway import Pages


@pytest.fixture
def build(tmp_path: Path) -> Path:
    root = tmp_path / "web"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<!doctype html><title>Chiron</title>")
    (root / "icon.svg").write_text("<svg/>")
    (root / "assets" / "index-BkX3d9Qa.js").write_text("export {}")
    (tmp_path / "secret").write_text("secret")
    return root


async def test_the_page_and_its_files(house: Any, build: Path) -> None:
    built = house(pages=Pages(build))
    page = await built.ask("GET", "/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["cache-control"] == "no-cache"
    script = await built.ask("GET", "/assets/index-BkX3d9Qa.js")
    assert script.body == b"export {}"
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (await built.ask("GET", "/icon.svg?x")).headers["content-type"] == "image/svg+xml"


async def test_pages_run_nothing_from_elsewhere_and_nothing_inline(house: Any, build: Path) -> None:
    policy = (await house(pages=Pages(build)).ask("GET", "/")).headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
async def test_rfc9110_13_1_2_a_file_that_the_browser_has_is_not_sent_again(house: Any, build: Path, form: str) -> None:
    built = house(pages=Pages(build))
    tag = (await built.ask("GET", "/")).headers["etag"]
    answer = await built.ask("GET", "/", headers={"if-none-match": form.format(tag)})
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    assert (await built.ask("GET", "/", headers={"if-none-match": '"other"'})).status == 200


@pytest.mark.parametrize("path", ["/../secret", "/assets/../../secret", "/%2e%2e/secret", "/assets", "/assets/", "//"])
async def test_what_is_not_in_the_build_cannot_be_reached(house: Any, build: Path, path: str) -> None:
    assert (await house(pages=Pages(build)).ask("GET", path)).status == 404


async def test_a_page_is_read_and_not_written(house: Any, build: Path) -> None:
    assert (await house(pages=Pages(build)).ask("POST", "/index.html")).status == 404


async def test_a_missing_build_is_explained(house: Any, tmp_path: Path) -> None:
    answer = await house(pages=Pages(tmp_path / "none")).ask("GET", "/")
    assert answer.status == 503
    assert b"make web" in answer.body


@pytest.fixture
def large(build: Path) -> Path:
    (build / "assets" / "index-BkX3d9Qa.js").write_text("export const chiron = 'chiron';\n" * 500)
    (build / "icon.png").write_bytes(b"\x89PNG" + bytes(5_000))
    return build


async def test_rfc9110_8_4_1_3_a_client_that_takes_gzip_gets_the_same_file_smaller(house: Any, large: Path) -> None:
    built, path = house(pages=Pages(large)), "/assets/index-BkX3d9Qa.js"
    plain = await built.ask("GET", path)
    small = await built.ask("GET", path, headers={"accept-encoding": "gzip, br"})
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert gzip.decompress(small.body) == plain.body
    assert len(small.body) < len(plain.body) / 10
    assert plain.headers["vary"] == small.headers["vary"] == "accept-encoding"
    assert small.headers["content-type"] == plain.headers["content-type"]


async def test_rfc9110_8_8_3_3_each_coding_has_a_tag_of_its_own(house: Any, large: Path) -> None:
    built, path = house(pages=Pages(large)), "/assets/index-BkX3d9Qa.js"
    coded = {"accept-encoding": "gzip"}
    plain, small = await built.ask("GET", path), await built.ask("GET", path, headers=coded)
    assert plain.headers["etag"] != small.headers["etag"]
    again = await built.ask("GET", path, headers={**coded, "if-none-match": small.headers["etag"]})
    assert (again.status, again.body, again.headers["vary"]) == (304, b"", "accept-encoding")
    assert again.headers["etag"] == small.headers["etag"]
    other = await built.ask("GET", path, headers={**coded, "if-none-match": plain.headers["etag"]})
    assert (other.status, other.headers["content-encoding"]) == (200, "gzip")


async def test_what_would_not_get_smaller_is_sent_as_it_is(house: Any, large: Path) -> None:
    built = house(pages=Pages(large))
    for path in ("/icon.png", "/icon.svg"):
        answer = await built.ask("GET", path, headers={"accept-encoding": "gzip"})
        assert (answer.status, answer.headers.keys() & {"content-encoding", "vary"}) == (200, set())


async def test_head_says_what_get_would(house: Any, large: Path) -> None:
    built = house(pages=Pages(large))
    for headers in ({}, {"accept-encoding": "gzip"}):
        head, get = [await built.ask(method, "/", headers=headers) for method in ("HEAD", "GET")]
        ignored = {"x-request-id", "date"}
        assert {name: value for name, value in head.headers.items() if name not in ignored} == {
            name: value for name, value in get.headers.items() if name not in ignored
        }
        assert len(head.body) == len(get.body), "the edge counts it and leaves it out"
