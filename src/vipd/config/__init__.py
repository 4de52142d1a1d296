"""YAML to model and back: everything about the form of a configuration."""

from vipd.config.dump import dump
from vipd.config.load import Loaded, load, loads
from vipd.config.schema import json_schema

__all__ = ["Loaded", "dump", "json_schema", "load", "loads"]
