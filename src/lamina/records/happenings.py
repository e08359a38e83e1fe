"""Changes that come with an event, both written in one transaction."""

from lamina.errors import InvalidParameter
from lamina.oci.digest import Digest
from lamina.oci.reference import Reference
from lamina.records.catalogue import Image, Tag
from lamina.records.changes import AddEvent, PutTag, SetLastTagged
from lamina.records.records import Transaction


def image_event(
    action: str, image: Image | None, *, actor: Digest | str, name: str, time: int
) -> AddEvent:
    """An event about an image; its labels are among the attributes while it exists.

    `name` is what dockerd puts there: the familiar reference for ``tag``, else the image ID.
    `time` is in unix nanoseconds.
    """
    attributes = dict(image.labels or {}) if image is not None else {}
    attributes["name"] = name
    return AddEvent(
        time=time, type="image", action=action, actor_id=str(actor), attributes=attributes
    )


def put_tag(
    transaction: Transaction, image: Image, reference: Reference, *, target: Digest | None, now: int
) -> None:
    """Let a tagged reference lead to an image, and tell; `target`: what is behind the tag."""
    if reference.tag is None:
        raise InvalidParameter(f"{reference} has no tag")
    transaction.do(PutTag(reference.name, reference.tag, Tag(image.id, target)))
    transaction.do(SetLastTagged(image.id, now))
    transaction.do(image_event("tag", image, actor=image.id, name=reference.familiar, time=now))
