"""Processes killed at any moment, and processes side by side: what is listed stays whole."""
