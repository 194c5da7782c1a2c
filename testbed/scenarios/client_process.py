"""Runs the official client with the configuration from standard input, JSON or YAML. It blocks; one process is one client."""

import json
import sys

import hysteria2
import yaml

hysteria2.startFromJSON(json.dumps(yaml.safe_load(sys.stdin.read())))
