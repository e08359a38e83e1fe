"""What is asked of registries without moving an image: search, login, distribution."""

from lamina.dockerfile.gostrings import parse_int
from lamina.dockerfile.source import DockerfileError
from lamina.engine.filters import FilterSet
from lamina.engine.registry_access import headers_of, parse_auth
from lamina.errors import InvalidFilter, LaminaError
from lamina.image_api import Filters, MetaHeaders, RegistryAuth
from lamina.models import (
    AuthenticateOK,
    DistributionDescriptor,
    DistributionInspect,
    DistributionPlatform,
    ImageSearchResponseItem,
)
from lamina.oci import mediatype
from lamina.oci.config import ImageConfig
from lamina.oci.digest import is_digest
from lamina.oci.index import Index, parse_manifest_or_index
from lamina.oci.manifest import Manifest
from lamina.oci.platform import Platform
from lamina.oci.reference import Reference
from lamina.registry.auth import BasicCredentialsMissing, TokenRefused
from lamina.registry.client import RegistryClient
from lamina.registry.credentials import AuthConfig
from lamina.registry.login import log_in
from lamina.registry.repository import Repository
from lamina.registry.search import search
from lamina.transfer.remote_image import fetch_small

_FILTERS = ("is-automated", "is-official", "stars")


async def search_images(
    registries: RegistryClient,
    *,
    term: str,
    limit: int,
    filters: Filters | None,
    auth: RegistryAuth,
    meta: MetaHeaders | None,
) -> list[ImageSearchResponseItem]:
    """Repositories for a term; `filters` are applied to what the registry found.

    Raises InvalidParameter (term, limit, headers), InvalidFilter, and what the registry refuses.
    """
    checked = FilterSet.check(filters, _FILTERS)
    official = checked.boolean("is-official", default=False) if "is-official" in checked else None
    automated = (
        checked.boolean("is-automated", default=False) if "is-automated" in checked else None
    )
    stars = _stars(checked)
    found = await search(
        registries,
        term,
        limit=limit,
        credentials=parse_auth(auth),
        headers=headers_of(meta),
    )
    return [
        ImageSearchResponseItem(
            star_count=item.star_count,
            is_official=item.is_official,
            name=item.name,
            is_automated=item.is_automated,
            description=item.description,
        )
        for item in found
        if official in {None, item.is_official}
        and automated in {None, item.is_automated}
        and item.star_count >= stars
    ]


def _stars(filters: FilterSet) -> int:
    most = 0
    for text in filters["stars"]:
        try:
            most = max(most, parse_int(text, bits=64))
        except DockerfileError:
            raise InvalidFilter(f"invalid filter 'stars=[{text}]'", name="stars") from None
    return most


async def authenticate(registries: RegistryClient, auth: RegistryAuth) -> AuthenticateOK:
    """Whether a registry takes credentials. Raises Unauthorized, and others if it cannot say."""
    login = await log_in(registries, parse_auth(auth) or AuthConfig())
    return AuthenticateOK(identity_token=login.identity_token, status=login.status)


async def inspect_distribution(
    registries: RegistryClient, *, name: str, auth: RegistryAuth
) -> DistributionInspect:
    """What a registry has under a name: the descriptor, and the platforms it is for.

    Raises InvalidReference, NotFound, Unauthorized, InvalidParameter (kinds that are not taken).
    """
    reference = _parse(name)
    repository = await registries.repository(reference, credentials=parse_auth(auth))
    try:
        fetched = await repository.fetch(reference.digest or reference.tag or "")
    except (BasicCredentialsMissing, TokenRefused) as error:
        raise await registries.unsent(reference, error) from error
    target = parse_manifest_or_index(fetched.raw, fetched.media_type or None)
    if isinstance(target, Index):
        platforms = [child.platform for child in target.manifests if child.platform is not None]
    else:
        platforms = await _platform_of(repository, target)
    return DistributionInspect(
        descriptor=DistributionDescriptor(
            media_type=target.media_type, digest=str(target.digest), size=target.size
        ),
        platforms=[
            DistributionPlatform(
                architecture=platform.architecture,
                os=platform.os,
                os_version=platform.os_version,
                os_features=list(platform.os_features),
                variant=platform.variant,
            )
            for platform in platforms
        ],
    )


def _parse(name: str) -> Reference:
    if is_digest(name) or is_digest(f"sha256:{name}"):
        raise LaminaError("no manifest found for full image ID")
    return Reference.parse(name).with_default_tag()


async def _platform_of(repository: Repository, manifest: Manifest) -> list[Platform]:
    if not mediatype.is_config(manifest.config.media_type):
        return []
    platform = ImageConfig.parse(await fetch_small(repository, manifest.config)).platform
    return [platform] if platform.os or platform.architecture else []
