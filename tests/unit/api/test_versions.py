import msgspec
import pytest

from lamina.api.versions import (
    NEWEST,
    OLDEST,
    ApiVersion,
    UnsupportedVersion,
    negotiate,
    shape_data_usage,
    shape_inspect,
    shape_summaries,
)
from lamina.models import ImageInspect, ImageSummary, SystemDataUsage


def test_versions_compare_as_numbers() -> None:
    assert ApiVersion(1, 9) < ApiVersion(1, 24) < NEWEST
    assert str(NEWEST) == "1.44"


@pytest.mark.parametrize("text", ["1.12", "1.24", "1.41", "1.44"])
def test_versions_between_the_bounds_are_served(text: str) -> None:
    assert str(negotiate(text)) == text


def test_an_old_version_is_refused_in_plain_text() -> None:
    with pytest.raises(UnsupportedVersion) as caught:
        negotiate("1.11")
    assert str(caught.value) == (
        "client version 1.11 is too old. Minimum supported API version is 1.12, "
        "please upgrade your client to a newer version"
    )
    assert caught.value.plain


@pytest.mark.parametrize("text", ["1.45", "2.0", "1.999999999"])
def test_a_new_version_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedVersion) as caught:
        negotiate(text)
    assert str(caught.value) == (
        f"client version {text} is too new. Maximum supported API version is 1.44"
    )
    assert not caught.value.plain


@pytest.mark.parametrize(("text", "served"), [("1.44.0", NEWEST), ("1.30.9", ApiVersion(1, 30))])
def test_surplus_numbers_do_not_count(text: str, served: ApiVersion) -> None:
    assert negotiate(text) == served


@pytest.mark.parametrize("text", ["1", "1.", ".", "..", ".44"])
def test_missing_numbers_are_zero(text: str) -> None:
    with pytest.raises(UnsupportedVersion, match="too old"):
        negotiate(text)


def rows(image: ImageSummary, version: ApiVersion) -> list[dict[str, object]]:
    decoded: list[dict[str, object]] = msgspec.json.decode(
        msgspec.json.encode(shape_summaries([image], version))
    )
    return decoded


def test_names_that_are_missing_in_a_list() -> None:
    image = ImageSummary(id="sha256:a", size=7)
    (old,) = rows(image, ApiVersion(1, 42))
    assert old["RepoTags"] == ["<none>:<none>"]
    assert old["RepoDigests"] == ["<none>@<none>"]
    (new,) = rows(image, ApiVersion(1, 43))
    assert (new["RepoTags"], new["RepoDigests"]) == ([], [])


def test_a_tagged_image_has_no_placeholder_for_its_digest() -> None:
    (row,) = rows(ImageSummary(id="sha256:a", repo_tags=["x:1"]), ApiVersion(1, 42))
    assert (row["RepoTags"], row["RepoDigests"]) == (["x:1"], None)


def test_virtual_size_goes_with_1_44() -> None:
    image = ImageSummary(id="sha256:a", size=7, virtual_size=7)
    assert rows(image, ApiVersion(1, 43))[0]["VirtualSize"] == 7
    assert "VirtualSize" not in rows(image, NEWEST)[0]


def test_the_engines_values_stay_as_they_are() -> None:
    image = ImageSummary(id="sha256:a", size=7)
    before = msgspec.structs.astuple(image)
    shape_summaries([image], OLDEST)
    assert msgspec.structs.astuple(image) == before


def described(image: ImageInspect, version: ApiVersion) -> dict[str, object]:
    decoded: dict[str, object] = msgspec.json.decode(
        msgspec.json.encode(shape_inspect(image, version))
    )
    return decoded


def test_inspect_always_has_the_container_it_was_made_in() -> None:
    image = ImageInspect(id="sha256:a", created="2024-01-01T00:00:00Z", virtual_size=0)
    shape = described(image, NEWEST)
    assert (shape["Container"], shape["ContainerConfig"]) == ("", None)
    assert "VirtualSize" not in shape
    assert list(shape)[:7] == [
        "Id",
        "RepoTags",
        "RepoDigests",
        "Parent",
        "Comment",
        "Created",
        "Container",
    ]


def test_inspect_before_1_44_has_a_virtual_size_and_always_a_time() -> None:
    shape = described(ImageInspect(id="sha256:a", size=7), ApiVersion(1, 43))
    assert (shape["VirtualSize"], shape["Created"]) == (7, "0001-01-01T00:00:00Z")


def test_inspect_says_nothing_of_an_unknown_time_since_1_44() -> None:
    shape = described(ImageInspect(id="sha256:a"), NEWEST)
    assert "Created" not in shape
    # The order of the others is Docker's still: clients print it.
    assert list(shape)[:6] == ["Id", "RepoTags", "RepoDigests", "Parent", "Comment", "Container"]


def test_disk_use_shapes_its_images() -> None:
    usage = SystemDataUsage(images=[ImageSummary(id="sha256:a", size=7)])
    shaped = shape_data_usage(usage, ApiVersion(1, 42))
    assert shaped.images is not None
    assert shaped.images[0].virtual_size == 7
    assert shape_data_usage(SystemDataUsage(), OLDEST).images is None
