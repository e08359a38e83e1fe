"""Asking before something is removed for good."""

import sys

import click


def confirmed(warning: str) -> bool:
    """Warn, ask, and read the answer from stdin, as docker's client does."""
    click.echo(f"WARNING! {warning}")
    click.echo("Are you sure you want to continue? [y/N] ", nl=False)
    return sys.stdin.readline().strip().lower() == "y"
