"""What registries say, as the Engine API passes it on."""

import msgspec

from lamina.models.base import Model


class ImageSearchResponseItem(msgspec.Struct, kw_only=True):
    """One row of ``GET /images/search``."""

    star_count: int = 0
    is_official: bool = False
    name: str = ""
    is_automated: bool = False
    description: str = ""


class AuthenticateOK(Model, kw_only=True):
    """``POST /auth``: a login that succeeded; the token, if any, stands for the password."""

    identity_token: str = ""
    status: str = ""


class DistributionDescriptor(msgspec.Struct, rename="camel", kw_only=True):
    """What a registry has under a name; ``size`` in bytes."""

    media_type: str
    digest: str
    size: int


class DistributionPlatform(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A platform that an image in a registry is for (OCI's names)."""

    architecture: str = ""
    os: str = ""
    os_version: str = msgspec.field(name="os.version", default="")
    os_features: list[str] = msgspec.field(name="os.features", default_factory=list)
    variant: str = ""


class DistributionInspect(Model, kw_only=True):
    """``GET /distribution/{name}/json`` (schema DistributionInspect)."""

    descriptor: DistributionDescriptor
    platforms: list[DistributionPlatform]
