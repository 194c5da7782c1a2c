"""Runs the official client with the configuration from standard input. It blocks; one process is one client."""

import sys

import hysteria2

hysteria2.startFromJSON(sys.stdin.read())
