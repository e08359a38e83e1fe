from collections.abc import AsyncIterator

import pytest

from lamina.registry.client import RegistryClient, RegistryConfig
from lamina.registry.retry import RetryPolicy
from lamina.registry.transport import Timeouts
from tests.real.registry import Registry
from tests.registry.clock import TestClock
from tests.registry.faults import FaultProxy


@pytest.fixture
async def proxy(registry: Registry) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(f"127.0.0.1:{registry.port}").running() as running:
        yield running


@pytest.fixture
async def script() -> AsyncIterator[FaultProxy]:
    """A server that answers only what a test tells it to."""
    async with FaultProxy(None).running() as running:
        yield running


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
async def client(clock: TestClock) -> AsyncIterator[RegistryClient]:
    async with RegistryClient(RegistryConfig(), clock=clock) as running:
        yield running


@pytest.fixture
async def impatient(clock: TestClock) -> AsyncIterator[RegistryClient]:
    """A client that soon takes silence for a stall."""
    config = RegistryConfig(timeouts=Timeouts(stall=0.5), retries=RetryPolicy(attempts=50))
    async with RegistryClient(config, clock=clock) as running:
        yield running
