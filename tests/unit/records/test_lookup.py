from os.path import commonprefix

import pytest

from lamina.errors import ImageNotFound, InvalidReference, NotFound
from lamina.oci.digest import Digest
from lamina.oci.reference import Reference
from lamina.records.catalogue import Catalogue, Image, Tag
from lamina.records.lookup import find_image, find_images, is_id_of
from tests.unit.records.records_in import digest, make_image

NAME = "docker.io/library/a"


def twins() -> tuple[Image, Image]:
    """Two images whose IDs begin alike."""
    seen: dict[str, str] = {}
    for number in range(10_000):
        name = str(number)
        prefix = digest(name).hex[:2]
        if prefix in seen and prefix[0].isalpha():
            return make_image(seen[prefix]), make_image(name)
        seen.setdefault(prefix, name)
    raise AssertionError("no two digests alike")


FIRST, SECOND = twins()
COMMON = FIRST.id.hex[:2]
# As many digits as tell them apart.
_SHARED = commonprefix([FIRST.id.hex, SECOND.id.hex])  # noqa: RUF071 - of characters
UNIQUE = FIRST.id.hex[: len(_SHARED) + 1]
MANIFEST = digest("manifest")


@pytest.fixture
def catalogue() -> Catalogue:
    made = Catalogue()
    made.add_image(FIRST)
    made.add_image(SECOND)
    made.add_tag(NAME, "latest", Tag(FIRST.id, None))
    made.add_tag(NAME, "2", Tag(SECOND.id, None))
    made.add_repo_digest(NAME, MANIFEST, SECOND.id)
    return made


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("a", FIRST),
        ("a:latest", FIRST),
        ("docker.io/library/a:2", SECOND),
        (f"a@{MANIFEST}", SECOND),
        # The digest decides.
        (f"a:latest@{MANIFEST}", SECOND),
        (str(FIRST.id), FIRST),
        (SECOND.id.hex, SECOND),
        (UNIQUE, FIRST),
        (f"sha256:{UNIQUE}", FIRST),
    ],
)
def test_what_a_name_means(catalogue: Catalogue, name: str, image: Image) -> None:
    assert find_image(catalogue, name) is image


def test_a_name_goes_before_the_beginning_of_an_id(catalogue: Catalogue) -> None:
    catalogue.add_tag(f"docker.io/library/{UNIQUE}", "latest", Tag(SECOND.id, None))
    assert find_image(catalogue, UNIQUE) is SECOND


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("b", "b:latest"),
        ("a:3", "a:3"),
        (COMMON, f"{COMMON}:latest"),
        (f"a@{digest('x')}", f"a@{digest('x')}"),
        (str(digest("x")), str(digest("x"))),
    ],
)
def test_names_that_mean_nothing(catalogue: Catalogue, name: str, told: str) -> None:
    with pytest.raises(ImageNotFound) as caught:
        find_image(catalogue, name)
    assert str(caught.value) == f"No such image: {told}"


def test_names_that_are_none(catalogue: Catalogue) -> None:
    for find in (find_image, lambda catalogue, name: find_images(catalogue, [name])):
        with pytest.raises(InvalidReference):
            find(catalogue, "A B")


def tags(found: dict[Digest, tuple[Reference, ...]]) -> list[tuple[Digest, list[str]]]:
    return [(image, [tag.familiar for tag in names]) for image, names in found.items()]


def test_names_of_images_to_save(catalogue: Catalogue) -> None:
    # A bare name means all tags; several names of one image make one image with these names.
    assert tags(find_images(catalogue, ["a"])) == [
        (SECOND.id, ["a:2"]),
        (FIRST.id, ["a:latest"]),
    ]
    catalogue.add_tag(NAME, "3", Tag(FIRST.id, None))
    names = ["a:3", UNIQUE, "a:latest", "a:3"]
    assert tags(find_images(catalogue, names)) == [(FIRST.id, ["a:3", "a:latest"])]
    assert tags(find_images(catalogue, [f"a@{MANIFEST}"])) == [(SECOND.id, [])]
    assert find_images(catalogue, []) == {}


def test_tags_to_save_that_do_not_exist(catalogue: Catalogue) -> None:
    with pytest.raises(NotFound, match="reference does not exist"):
        find_images(catalogue, ["a", "a:none"])
    with pytest.raises(ImageNotFound, match=r"No such image: none$"):
        find_images(catalogue, ["none"])


def test_ids_and_their_beginnings() -> None:
    for name in (str(FIRST.id), FIRST.id.hex, COMMON, f"sha256:{COMMON}", "sha256:"):
        assert is_id_of(FIRST.id, name)
    assert not is_id_of(FIRST.id, "a:latest")
    assert not is_id_of(FIRST.id, FIRST.id.hex[1:])
