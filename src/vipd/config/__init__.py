"""YAML to model and back: everything about the form of a configuration."""

from vipd.config.again import Reloading
from vipd.config.dump import dump
from vipd.config.load import Loaded, load, loads
from vipd.config.schema import json_schema

__all__ = ["Loaded", "Reloading", "dump", "json_schema", "load", "loads"]
